// @ts-check
/** Runs tasks in processes of their own, so that none warms up, or litters, for another. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** Runs the tasks of a module that calls {@link runTask}. */
export function tasksOf(/** @type {URL} */ module) {
  /**
   * Runs a task that has to be told when to go on: it prints `ready` when it waits, and goes on when its input ends.
   *
   * @param {string} task
   * @param {object} options of the task
   * @param {NodeJS.ProcessEnv} [env] besides that of this process
   */
  function begin(task, options, env = {}) {
    const child = spawn(process.execPath, [module.pathname, task, JSON.stringify(options)], {
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
    return { ready, go: () => child.stdin.end(), kill: () => child.kill('SIGKILL'), result: ended }
  }

  /**
   * Runs a task.
   *
   * @param {string} task
   * @param {object} options of the task
   * @param {NodeJS.ProcessEnv} [env] besides that of this process
   * @returns {Promise<any>} what the task gives
   */
  async function apart(task, options, env) {
    return begin(task, options, env).result
  }

  return { apart, begin }
}

/**
 * In a module of tasks: `node <module> <task> <options as JSON>` prints what the task gives.
 *
 * @param {string} module its path
 * @param {Record<string, (options: any) => Promise<unknown>>} tasks
 */
export async function runTask(module, tasks) {
  if (process.argv[1] !== module) return
  const [name = '', options = '{}'] = process.argv.slice(2)
  const task = tasks[name]
  if (!task) throw new Error(`${module} has no task ${name}; it has ${Object.keys(tasks).join(', ')}`)
  console.log(JSON.stringify((await task(JSON.parse(options))) ?? null))
  process.exit(0)
}

/** In a task: resolves when it is told to go on. */
export async function told() {
  console.log('ready')
  process.stdin.resume()
  await new Promise((resolve) => process.stdin.once('end', resolve))
}
