// @ts-check
/** Runs a task of tasks.mjs in a process of its own, so that none warms up, or litters, for another. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

const TASKS = new URL('./tasks.mjs', import.meta.url).pathname

/**
 * @param {keyof typeof import('./tasks.mjs')['tasks']} task
 * @param {object} options of the task
 * @param {NodeJS.ProcessEnv} [env] besides that of this process
 * @returns {Promise<any>} what the task gives
 */
export async function apart(task, options, env = {}) {
  const { result } = begin(task, options, env)
  return result
}

/**
 * The same for a task that has to be told when to go on: it prints `ready` when it waits, and goes on when its input
 * ends.
 *
 * @param {keyof typeof import('./tasks.mjs')['tasks']} task
 * @param {object} options
 * @param {NodeJS.ProcessEnv} [env]
 */
export function begin(task, options, env = {}) {
  const child = spawn(process.execPath, [TASKS, task, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  })
  /** @type {unknown} */
  let result
  /** @type {() => void} */
  let tellReady = () => undefined
  const ready = new Promise((resolve) => (tellReady = () => resolve(undefined)))
  createInterface(child.stdout).on('line', (line) => {
    if (line === 'ready') tellReady()
    else result = JSON.parse(line)
  })
  /** @type {Promise<any>} */
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) =>
      code === 0 ? resolve(result) : reject(new Error(`${task} ended with ${code}`)),
    )
  })
  return { ready, go: () => child.stdin.end(), result: ended }
}
