import { on } from 'node:events'
import { Worker } from 'node:worker_threads'
import { unpackFault } from '../faults.js'
import { entryOf, THREAD_ARGUMENTS } from '../thread-entry.js'
import type { Problem } from './problems.js'
import type { Report, Task } from './thread.js'

/**
 * Does a task in a thread of its own.
 *
 * @returns the problems that it finds, as it finds them
 * @throws the reason of the signal, which ends it at once
 */
export async function* run(task: Task, signal: AbortSignal): AsyncGenerator<Problem, void, undefined> {
  signal.throwIfAborted()
  const worker = new Worker(entryOf('maintenance/thread.js'), {
    workerData: task,
    name: 'banyan events',
    execArgv: THREAD_ARGUMENTS,
  })
  const failed = new AbortController()
  worker.on('error', (error) => failed.abort(error))
  worker.on('exit', (code) => failed.abort(new Error(`the thread ended with code ${code}`)))
  const ended = AbortSignal.any([signal, failed.signal])
  try {
    for await (const [report] of on(worker, 'message', { signal: ended }) as AsyncIterable<[Report]>) {
      if ('fault' in report) throw unpackFault(report.fault)
      if ('done' in report) return
      yield report.problem
    }
  } catch (error) {
    throw ended.aborted && isAbort(error) ? ended.reason : error
  } finally {
    await worker.terminate()
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError'
}
