// @ts-check
/** Programs that want to lead, and what they say. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { openCoordinator } from '../../dist/coordination/index.js'
import { ensure } from '../../scripts/engines.mjs'
import { now } from '../events/load.mjs'

/**
 * @typedef {object} Candidate
 * @property {() => Promise<number>} leads resolves when it leads next, with the time of that
 * @property {() => Promise<unknown>} waits resolves when it is in line behind a leader
 * @property {(signal: 'SIGTERM' | 'SIGKILL') => void} signal
 */

/**
 * @typedef {object} Kind
 * @property {() => Candidate} start
 * @property {boolean} stays whether it is a candidate again after SIGTERM; otherwise it ends
 */

/**
 * Candidates of ours.
 *
 * @param {string} where
 * @param {number} ttl ms
 * @returns {Kind}
 */
export function banyan(where, ttl) {
  const program = new URL('./candidate.mjs', import.meta.url).pathname
  return {
    stays: true,
    start() {
      const { heard, last, signal } = run(process.execPath, [program, where, String(ttl)])
      return {
        leads: async () => {
          const line = await heard((said) => said.startsWith('leading '))
          return Number(line.slice('leading '.length))
        },
        waits: async () => last() === 'waiting' || heard((said) => said === 'waiting'),
        signal,
      }
    },
  }
}

/**
 * Candidates of etcdctl. They say nothing before they lead: whether one waits is seen in etcd.
 *
 * @param {string} where
 * @param {string} name
 * @param {string[]} args
 * @returns {Kind}
 */
export function etcdctl(where, name, args) {
  const path = ensure('etcdctl')
  const { host } = new URL(where)
  return {
    stays: false,
    start() {
      const { heard, signal } = run(path, [`--endpoints=${host}`, ...args])
      return {
        leads: async () => {
          await heard(() => true)
          return now()
        },
        waits: async () => {
          const keys = await openCoordinator(where)
          while ((await keys.list(`${name}/`)).entries.length < 2) await sleep(10)
          await keys.close()
        },
        signal,
      }
    },
  }
}

/**
 * Those that run. They end with this process.
 *
 * @type {Set<import('node:child_process').ChildProcess>}
 */
const children = new Set()
process.on('exit', () => children.forEach((child) => child.kill('SIGKILL')))

/** Starts a program. */
function run(/** @type {string} */ command, /** @type {string[]} */ args) {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, ETCDCTL_API: '3' },
  })
  children.add(child)
  const lines = createInterface(child.stdout)
  let last = ''
  lines.on('line', (line) => (last = line))
  /** @type {Promise<never>} */
  const ended = new Promise((_, reject) =>
    child.once('close', () => {
      children.delete(child)
      reject(new Error(`it has ended: ${command} ${args.join(' ')}`))
    }),
  )
  // Only who waits for what it says wants to know.
  ended.catch(() => undefined)
  return {
    last: () => last,
    /** @type {(matches: (line: string) => boolean) => Promise<string>} the next line that matches */
    async heard(matches) {
      /** @type {Promise<string>} */
      const heard = new Promise((resolve) => {
        const listener = (/** @type {string} */ line) => {
          if (!matches(line)) return
          lines.off('line', listener)
          resolve(line)
        }
        lines.on('line', listener)
      })
      return Promise.race([heard, ended])
    },
    signal: (/** @type {'SIGTERM' | 'SIGKILL'} */ signal) => void child.kill(signal),
  }
}
