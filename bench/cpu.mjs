// @ts-check
import { readFileSync, readdirSync } from 'node:fs'

/** Ticks a second of the times in /proc. */
const TICKS = 100

/**
 * CPU that a process and its children have had, in ms; also of children that have ended.
 *
 * @param {number} pid
 */
export function cpuMs(pid) {
  let ticks = 0
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = statOf(name)
    if (!stat || (Number(name) !== pid && stat.parent !== pid)) continue
    ticks += stat.own + (Number(name) === pid ? stat.children : 0)
  }
  return (ticks / TICKS) * 1000
}

function statOf(/** @type {string} */ pid) {
  let text
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return // It has ended meanwhile.
  }
  // Its name, in parentheses, may have spaces.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const number = (/** @type {number} */ index) => Number(fields[index])
  return { parent: number(1), own: number(11) + number(12), children: number(13) + number(14) }
}
