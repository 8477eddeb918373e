import { BanyanError } from '../../core/errors.js'

/** The other process. */
export interface Peer {
  send(message: unknown): void
  /** Gets every message of the other side. */
  onMessage(listener: (message: unknown) => void): void
}

/** What one side can be asked, by name. */
export type Handlers = Readonly<Record<string, (value: never) => unknown>>

type Message =
  | { readonly ask: string; readonly id: number; readonly value: unknown }
  | { readonly answer: number; readonly value: unknown }
  | { readonly failure: number; readonly code: string; readonly message: string }

/** Questions and answers between two processes: each side may ask, and many questions may be open at once. */
export class Channel {
  readonly #peer: Peer
  readonly #handlers: Handlers
  readonly #open = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #next = 0
  #closed = false

  constructor(peer: Peer, handlers: Handlers) {
    this.#peer = peer
    this.#handlers = handlers
    peer.onMessage((message) => this.#take(message as Message))
  }

  /**
   * Asks the other side.
   *
   * @returns rejects with the other side's error, or with `BANYAN_WORKER_GONE` if it ends before it answers
   */
  ask<T>(name: string, value?: unknown): Promise<T> {
    if (this.#closed) return Promise.reject(gone())
    return new Promise<T>((resolve, reject) => {
      const id = this.#next++
      this.#open.set(id, { resolve: resolve as (value: unknown) => void, reject })
      this.#peer.send({ ask: name, id, value } satisfies Message)
    })
  }

  /** The other side is gone: nothing that was asked will be answered. */
  close(): void {
    this.#closed = true
    for (const { reject } of this.#open.values()) reject(gone())
    this.#open.clear()
  }

  #take(message: Message): void {
    if ('ask' in message) {
      void this.#reply(message.id, message.ask, message.value)
      return
    }
    const id = 'answer' in message ? message.answer : message.failure
    const waiting = this.#open.get(id)
    this.#open.delete(id)
    if ('answer' in message) waiting?.resolve(message.value)
    else waiting?.reject(new BanyanError(message.code as `BANYAN_${string}`, message.message))
  }

  async #reply(id: number, name: string, value: unknown): Promise<void> {
    try {
      const handler = this.#handlers[name] as ((value: unknown) => unknown) | undefined
      if (!handler) throw new BanyanError('BANYAN_WORKER_GONE', `the other process does not know \`${name}\``)
      this.#send({ answer: id, value: await handler(value) })
    } catch (error) {
      const code = error instanceof BanyanError ? error.code : 'BANYAN_WORKER_FAILED'
      this.#send({ failure: id, code, message: error instanceof Error ? error.message : String(error) })
    }
  }

  #send(message: Message): void {
    if (!this.#closed) this.#peer.send(message)
  }
}

function gone(): BanyanError {
  return new BanyanError('BANYAN_WORKER_GONE', 'the worker ended before it answered')
}
