import { Worker } from 'node:worker_threads'
import { eventError } from '../../events/errors.js'
import { unpackFault } from './faults.js'
import { entryOf } from './thread-entry.js'
import type { Call, Reply, ThreadData } from './writer/thread.js'
import type { Writer } from './writer/writer.js'

/** What may be asked of the thread. */
type Method = Call['method']
type Result<Name extends Method> = Awaited<ReturnType<Writer[Name]>>

/** Thrown to those who wait for a thread that has ended: whether it had done what they asked is not known. */
export class ThreadEnded extends Error {}

interface Waiting {
  readonly resolve: (result: never) => void
  readonly reject: (error: Error) => void
}

/** The writer's thread as the thread of the event loop sees it. */
export class WriterThread {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #calls = 0
  #ended: Error | undefined

  private constructor(data: ThreadData) {
    this.#worker = new Worker(entryOf('writer/thread.js'), { workerData: data, name: 'banyan events' })
    this.#worker.on('message', (reply: Reply) => this.#answered(reply))
    this.#worker.on('error', (error: unknown) => this.#end(error))
    this.#worker.on('exit', (code) => this.#end(new Error(`the thread ended with code ${code}`)))
  }

  /** Starts the thread; resolves when it has opened the log. */
  static async start(data: ThreadData): Promise<WriterThread> {
    const thread = new WriterThread(data)
    await new Promise<void>((resolve, reject) => thread.#wait(0, { resolve, reject }))
    return thread
  }

  /** True as soon as it has ended, by itself or by `close`. */
  get ended(): boolean {
    return this.#ended !== undefined
  }

  /** @throws {@link ThreadEnded} if the thread has ended before it could answer; the faults that it has met */
  call<Name extends Method>(method: Name, ...args: Parameters<Writer[Name]>): Promise<Result<Name>> {
    return new Promise((resolve, reject) => {
      if (this.#ended) {
        reject(this.#ended)
        return
      }
      const call = ++this.#calls
      this.#wait(call, { resolve, reject })
      this.#worker.postMessage({ call, method, args } satisfies Call)
    })
  }

  /** Closes the log, and the thread with it. */
  async close(): Promise<void> {
    if (this.#ended) return
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    await this.call('close')
    this.#worker.ref()
    await exited
  }

  #wait(call: number, waiting: Waiting): void {
    // A log that nobody waits for keeps no process alive.
    if (this.#waiting.size === 0) this.#worker.ref()
    this.#waiting.set(call, waiting)
  }

  #answered(reply: Reply): void {
    const waiting = this.#waiting.get(reply.call)
    this.#waiting.delete(reply.call)
    if (this.#waiting.size === 0) this.#worker.unref()
    if ('fault' in reply) waiting?.reject(unpackFault(reply.fault))
    else waiting?.resolve(reply.result as never)
  }

  #end(cause: unknown): void {
    this.#ended ??= new ThreadEnded(`the thread that writes has ended: ${String(cause)}`, { cause })
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
  }
}

/** What became of work that the thread did not finish, and that cannot be found out. */
export function unknownOutcome(cause: unknown): Error {
  return eventError(
    'BANYAN_OUTCOME_UNKNOWN',
    `the thread that writes the log ended twice while it appended: ${String(cause)}. ` +
      'The commit may be in the log; append it again with the same id to know',
    cause,
  )
}
