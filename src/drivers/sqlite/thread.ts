import { Worker } from 'node:worker_threads'
import { unpackFault, type Fault } from './faults.js'
import { entryOf, THREAD_ARGUMENTS } from './thread-entry.js'

/** A request to a thread. */
export interface Call {
  readonly call: number
  readonly method: string
  readonly args: readonly unknown[]
}

/** What it answers; `call` is 0 for the answer to being started. */
export type Reply =
  { readonly call: number; readonly result: unknown } | { readonly call: number; readonly fault: Fault }

/** Thrown to those who wait for a thread that has ended: whether it had done what they asked is not known. */
export class ThreadEnded extends Error {}

interface Waiting {
  readonly resolve: (result: never) => void
  readonly reject: (error: Error) => void
}

/** Names of the methods that an object has. */
type MethodOf<Served> = {
  [Name in keyof Served]: Served[Name] extends (...args: never[]) => unknown ? Name : never
}[keyof Served] &
  string
type ParametersOf<Method> = Method extends (...args: infer Args) => unknown ? Args : never
type ResultOf<Method> = Method extends (...args: never[]) => infer Result ? Awaited<Result> : never

/** A thread that serves the methods of an object, as the thread of the event loop sees it. */
export class Thread<Served extends { close(): unknown }> {
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #replies: Reply[] = []
  #calls = 0
  #ended: Error | undefined

  private constructor(entry: string, data: unknown) {
    this.#worker = new Worker(entryOf(entry), {
      workerData: data,
      name: 'banyan events',
      execArgv: THREAD_ARGUMENTS,
    })
    // Not at once: messages that keep coming in would keep everything else from its turn.
    this.#worker.on('message', (reply: Reply) => {
      if (this.#replies.push(reply) === 1) setImmediate(this.#answerAll)
    })
    this.#worker.on('error', (error: unknown) => this.#end(error))
    this.#worker.on('exit', (code) => this.#end(new Error(`the thread ended with code ${code}`)))
  }

  /**
   * Starts a thread; resolves when it can be called.
   *
   * @param entry - the module, from this folder
   */
  static async start<Served extends { close(): unknown }>(
    entry: string,
    data: unknown,
  ): Promise<Thread<Served>> {
    const thread = new Thread<Served>(entry, data)
    await new Promise<void>((resolve, reject) => thread.#wait(0, { resolve, reject }))
    return thread
  }

  /** True as soon as it has ended, by itself or by `close`. */
  get ended(): boolean {
    return this.#ended !== undefined
  }

  /** @throws {@link ThreadEnded} if the thread has ended before it could answer; the faults that it has met */
  call<Name extends MethodOf<Served>>(
    method: Name,
    ...args: ParametersOf<Served[Name]>
  ): Promise<ResultOf<Served[Name]>> {
    return this.#ask(method, args)
  }

  /** Ends the thread, after it has closed what it serves. */
  async close(): Promise<void> {
    if (this.#ended) return
    const exited = new Promise<void>((resolve) => this.#worker.once('exit', () => resolve()))
    await this.#ask('close', [])
    this.#worker.ref()
    await exited
  }

  #ask<Result>(method: string, args: readonly unknown[]): Promise<Result> {
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

  #wait(call: number, waiting: Waiting): void {
    // A log that nobody waits for keeps no process alive.
    if (this.#waiting.size === 0) this.#worker.ref()
    this.#waiting.set(call, waiting)
  }

  readonly #answerAll = (): void => {
    const replies = this.#replies
    this.#replies = []
    for (const reply of replies) this.#answered(reply)
  }

  #answered(reply: Reply): void {
    const waiting = this.#waiting.get(reply.call)
    this.#waiting.delete(reply.call)
    if (this.#waiting.size === 0) this.#worker.unref()
    if ('fault' in reply) waiting?.reject(unpackFault(reply.fault))
    else waiting?.resolve(reply.result as never)
  }

  #end(cause: unknown): void {
    this.#answerAll()
    this.#ended ??= new ThreadEnded(`a thread of the log has ended: ${String(cause)}`, { cause })
    for (const { reject } of this.#waiting.values()) reject(this.#ended)
    this.#waiting.clear()
  }
}
