import { createRequire } from 'node:module'
import { basename, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { systemClock } from '../../core/clock.js'
import { escaped } from './environment.js'
import type { Source } from './yaml-source.js'

/** How long a module may take to say what its configuration is, in ms. */
const MOST_MS = 30_000

/**
 * What runs in the thread. Modules are read by jiti, which tells through `transform` and its cache what it has read;
 * what Node itself loads (`.mjs`) it does not see.
 */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads')
const { createJiti } = require(workerData.jiti)
const files = new Set([workerData.file])
const plain = createJiti(workerData.file)
const jiti = createJiti(workerData.file, {
  transform(options) {
    if (options.filename) files.add(options.filename)
    return { code: plain.transform(options) }
  },
})
const own = (file) => !file.includes('/node_modules/') && !file.includes('\\\\node_modules\\\\')
jiti.import(workerData.file, { default: true }).then(
  (value) => ({ value }),
  (error) => ({ error: error instanceof Error ? error.message : String(error) }),
).then((result) => {
  for (const file of Object.keys(jiti.cache ?? {})) if (own(file)) files.add(file)
  const all = { files: [...files].filter(own), ...result }
  try {
    parentPort.postMessage(all)
  } catch (error) {
    parentPort.postMessage({ ...all, value: undefined, error: 'it must be plain data: ' + error.message })
  }
})
`

interface Result {
  value: unknown
  error?: string
  files: string[]
}

/**
 * Reads a configuration that is a module, in TypeScript or JavaScript. It runs in a thread of its own, so that every
 * reading is a fresh one, of all its imports too, and leaves nothing behind.
 */
export async function readModule(file: string): Promise<Source> {
  const { value, error, files } = await evaluate(resolve(file))
  const problems =
    error === undefined ? [] : [{ path: [], message: `cannot load ${basename(file)}: ${error}` }]
  return { value, written: () => escaped(value), problems, files, locate: () => undefined }
}

function evaluate(file: string): Promise<Result> {
  const jiti = createRequire(import.meta.url).resolve('jiti')
  return new Promise((done) => {
    const thread = new Worker(THREAD, { eval: true, workerData: { file, jiti } })
    const end = (result: Result): void => {
      timer.cancel()
      done(result)
      void thread.terminate()
    }
    const fail = (error: string): void => end({ value: undefined, error, files: [file] })
    const timer = systemClock.schedule(systemClock.now() + MOST_MS, () =>
      fail(`it has not said within ${MOST_MS / 1000} s what the configuration is`),
    )
    thread.once('message', end)
    thread.once('error', (error: Error) => fail(error.message))
    thread.once('exit', () => fail('it ended without saying what the configuration is'))
  })
}
