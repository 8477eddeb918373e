// @ts-check
import { execFileSync } from 'node:child_process'

/** How often to look, in ms. */
const EVERY = 500

/**
 * Calls back when npm is gone, killed perhaps: then nobody would stop what it has started.
 *
 * @param {() => void} gone
 */
export function watchNpm(gone) {
  if (process.env['npm_lifecycle_event'] === undefined) return
  const parent = process.ppid
  const npm = parentOfShell(parent)
  const timer = setInterval(() => {
    if (process.ppid === parent && (npm === undefined || isThere(npm))) return
    clearInterval(timer)
    gone()
  }, EVERY)
  timer.unref()
}

/**
 * npm runs scripts in a shell, which some shells do not give up for the script.
 *
 * @param {number} pid
 * @returns {number | undefined} undefined if it is no shell, or nobody can tell
 */
function parentOfShell(pid) {
  try {
    const said = execFileSync('ps', ['-o', 'ppid=,comm=', '-p', String(pid)], { encoding: 'utf8' })
    const [, parent] = /^\s*(\d+)\s.*sh\s*$/.exec(said) ?? []
    return parent === undefined ? undefined : Number(parent)
  } catch {
    return undefined
  }
}

/** @param {number} pid */
function isThere(pid) {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
