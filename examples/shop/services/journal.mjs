// @ts-check
import { appendFileSync, mkdirSync, readFileSync, truncateSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * A file of JSON lines, for services that keep what they have done: what was appended is on the disk.
 *
 * @template Line
 * @param {string} file
 * @returns {{ lines: Line[], append: (line: Line) => void }}
 */
export function openJournal(file) {
  mkdirSync(dirname(file), { recursive: true })
  appendFileSync(file, '')
  const text = readFileSync(file, 'utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  // What a crash has left of a line is none.
  if (whole !== text) truncateSync(file, Buffer.byteLength(whole))
  /** @type {Line[]} */
  const lines = whole
    ? whole
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line))
    : []
  return {
    lines,
    append(line) {
      appendFileSync(file, `${JSON.stringify(line)}\n`, { flush: true })
      lines.push(line)
    },
  }
}
