// @ts-check
/** What benchmarks of servers share: processes pinned to cores, and load on them. */
import { execFileSync, spawn } from 'node:child_process'
import { connect } from 'node:net'
import { cpus } from 'node:os'
import { ensure } from '../scripts/engines.mjs'

export const SECONDS = Number(process.env['SECONDS'] ?? 4)
export const ROUNDS = Number(process.env['ROUNDS'] ?? 3)
export const PROXY_CORE = '0'
export const LOAD_CORE = cpus().length > 1 ? '1' : '0'

/**
 * @typedef {object} Load
 * @property {number} perSecond
 * @property {number} p50 ms
 * @property {number} p99 ms
 * @property {string | undefined} errors
 */

/**
 * Starts a Node program and waits until its port answers.
 *
 * @param {string[]} args
 * @param {number} port
 * @param {string} [cores] as taskset takes them
 */
export async function startNode(args, port, cores = PROXY_CORE) {
  const child = spawn('taskset', ['-c', cores, process.execPath, ...args], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  while (!(await accepts(port))) await new Promise((resolve) => setTimeout(resolve, 20))
  const stop = async () => void child.kill(cores === PROXY_CORE ? 'SIGKILL' : 'SIGTERM')
  return { port, pid: child.pid ?? 0, stop }
}

/** @param {number} port @returns {Promise<boolean>} */
export function accepts(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

/**
 * Load over HTTP/1.1.
 *
 * @param {string} url
 * @param {string[]} args of wrk
 * @param {string} [cores]
 * @returns {Load}
 */
export function wrk(url, args, cores = LOAD_CORE) {
  const output = execFileSync(
    'taskset',
    ['-c', cores, ensure('wrk'), '-t1', `-d${SECONDS}`, '--latency', ...args, url],
    { encoding: 'utf8' },
  )
  const ms = (/** @type {string} */ share) =>
    milliseconds(new RegExp(`${share}%\\s+([\\d.]+(?:us|ms|s))`).exec(output)?.[1])
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]),
    p50: ms('50'),
    p99: ms('99'),
    errors: /Non-2xx or 3xx responses: (\d+)/.exec(output)?.[1] ?? /Socket errors: (.*)/.exec(output)?.[1],
  }
}

/**
 * Load over HTTP/2, or over HTTP/1.1 with `--h1`.
 *
 * @param {string} url
 * @param {string[]} args of h2load
 * @returns {Load}
 */
export function h2load(url, args) {
  const output = execFileSync(
    'taskset',
    ['-c', LOAD_CORE, ensure('h2load'), `--duration=${SECONDS}`, '--warm-up-time=1', ...args, url],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  )
  const failed = Number(/(\d+) failed/.exec(output)?.[1]) + Number(/(\d+) errored/.exec(output)?.[1])
  const times = /time for request:\s+\S+\s+(\S+)\s+(\S+)/.exec(output)
  return {
    perSecond: Number(/finished in [\d.]+\w+, ([\d.]+) req\/s/.exec(output)?.[1]),
    // Mean and maximum: h2load tells no percentiles.
    p50: milliseconds(times?.[2]),
    p99: milliseconds(times?.[1]),
    errors: failed > 0 ? String(failed) : undefined,
  }
}

/** @param {string | undefined} text */
function milliseconds(text) {
  const [, value, unit] = /^([\d.]+)(us|ms|s)$/.exec(text ?? '') ?? []
  return Number(value) * (unit === 'us' ? 0.001 : unit === 's' ? 1000 : 1)
}
