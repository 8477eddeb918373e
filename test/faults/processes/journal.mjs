// @ts-check
/** Files that outlive the process that writes them: what a `write` was given belongs to the kernel when it returns. */
import { openSync, readFileSync, renameSync, writeFileSync, writeSync } from 'node:fs'

/**
 * Opens a file of lines to write on behind what is there.
 *
 * @param {string} path
 * @returns {(entry: unknown) => void}
 */
export function openJournal(path) {
  const file = openSync(path, 'a')
  // Behind a line that a killed process left unfinished.
  writeSync(file, '\n')
  return (entry) => {
    const line = Buffer.from(`${JSON.stringify(entry)}\n`)
    for (let done = 0; done < line.length;) done += writeSync(file, line, done)
  }
}

/**
 * The entries of a journal, without unfinished ones.
 *
 * @param {string} path
 * @returns {any[]}
 */
export function readJournal(path) {
  return readIfThere(path)
    .split('\n')
    .flatMap((line) => {
      try {
        return line === '' ? [] : [JSON.parse(line)]
      } catch {
        return []
      }
    })
}

/** @param {string} path */
export function readIfThere(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT') return ''
    throw error
  }
}

/**
 * Replaces a file as a whole.
 *
 * @param {string} path
 * @param {string} content
 */
export function replaceFile(path, content) {
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
}
