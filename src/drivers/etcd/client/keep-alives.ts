import { backoffWait, type Growth } from '../../../core/backoff.js'
import { sleep } from '../../../core/clock.js'
import type { Caller, OpenStream } from './caller.js'
import { NoAnswerError } from './connection.js'
import { EtcdError } from './fault.js'
import { LEASE_KEEP_ALIVE } from './methods.js'
import type { LeaseKeepAliveRequest, LeaseKeepAliveResponse } from './messages.js'
import type { Read, Written } from './wire.js'
import type { Surroundings } from './settings.js'

type Beat = Written<typeof LeaseKeepAliveRequest>

const AGAIN: Growth = { base: 10, factor: 2, max: 200 }

/** Those who have asked together. */
interface Waiting {
  answer(id: bigint, ttl: number): void
  reject(error: unknown): void
}

/** Renews leases, all of them on one stream. */
export class KeepAlives {
  readonly #caller: Caller
  readonly #runtime: Surroundings
  /** Answers come in the order of what was asked, for each lease. */
  readonly #waiting = new Map<bigint, Waiting[]>()
  #stream: Promise<OpenStream<Beat>> | undefined

  constructor(caller: Caller, runtime: Surroundings) {
    this.#caller = caller
    this.#runtime = runtime
  }

  /**
   * Renews leases. If nothing is heard of one for half of the time, or the stream breaks, it is tried on another.
   *
   * @param timeout - ms
   * @returns of each its time to live in seconds, from now; 0 if there is no such lease
   * @throws EtcdError `unavailable` if one was not answered; the reason of the signal
   */
  async renew(ids: readonly bigint[], timeout: number, signal?: AbortSignal): Promise<number[]> {
    const { clock, random } = this.#runtime
    const until = clock.now() + timeout
    const ttls = new Map<bigint, number>()
    for (let failures = 0; ; failures++) {
      const left = until - clock.now()
      const open = ids.filter((id) => !ttls.has(id))
      try {
        await this.#beat(open, ttls, failures === 0 ? left / 2 : left, signal)
        return ids.map((id) => ttls.get(id)!)
      } catch (error) {
        if (!(error instanceof EtcdError) || error.fault !== 'unavailable') throw error
        const wait = backoffWait(AGAIN, failures + 1, 'full', random)
        if (this.#caller.closing.aborted || clock.now() + wait >= until) throw error
        await sleep(clock, wait, signal)
      }
    }
  }

  /**
   * Asks once, for all of them in one go: thousands of leases are one burst.
   *
   * @param ttls - what is answered
   */
  #beat(
    ids: readonly bigint[],
    ttls: Map<bigint, number>,
    timeout: number,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { clock } = this.#runtime
    return new Promise((resolve, reject) => {
      let missing = ids.length
      let sent: { stream: OpenStream<Beat>; at: number } | undefined
      let over = false
      const stop = (): void => {
        over = true
        timer.cancel()
        signal?.removeEventListener('abort', abort)
      }
      const waiting: Waiting = {
        answer: (id, ttl) => {
          if (over) return
          ttls.set(id, ttl)
          if (--missing > 0) return
          stop()
          resolve()
        },
        reject: (error) => {
          stop()
          reject(error)
        },
      }
      // It stays in its place: its answer may still come, and is not that of the next one.
      const abort = (): void => waiting.reject(signal?.reason)
      const giveUp = (): void => {
        if (over) return
        const place = sent?.stream.connection.endpoint ?? this.#caller.place
        waiting.reject(new NoAnswerError(false, place, timeout))
        // Leases do not wait until it is found out otherwise that nobody is there.
        if (sent && sent.stream.connection.heardAt < sent.at) sent.stream.abandon()
      }
      // If this process was held up, the answer may be here and only not read.
      const timer = clock.schedule(clock.now() + timeout, () => setImmediate(giveUp))
      if (signal?.aborted) {
        abort()
        return
      }
      signal?.addEventListener('abort', abort, { once: true })
      const fail = (error: unknown): void => waiting.reject(error)
      const opening = this.#opened()
      opening.then((stream) => {
        if (over) return
        // It has ended before anything was asked on it, and nobody would ever be told of that again.
        if (this.#stream !== opening) {
          fail(new EtcdError('unavailable', 'the connection was lost before a lease could be renewed'))
          return
        }
        for (const id of ids) {
          const line = this.#waiting.get(id)
          if (line) line.push(waiting)
          else this.#waiting.set(id, [waiting])
        }
        sent = { stream, at: clock.now() }
        stream.sendAll(ids.map((id) => ({ id })))
      }, fail)
    })
  }

  close(): void {
    void this.#stream?.then(
      (stream) => stream.cancel(),
      () => undefined,
    )
    this.#stream = undefined
    this.#fail(new EtcdError('unavailable', 'the client of etcd was closed'))
  }

  #opened(): Promise<OpenStream<Beat>> {
    if (this.#stream) return this.#stream
    const opening = this.#caller.open(
      LEASE_KEEP_ALIVE,
      this.#events(() => this.#forget(opening)),
    )
    this.#stream = opening
    opening.catch(() => this.#forget(opening))
    return opening
  }

  #forget(stream: Promise<OpenStream<Beat>>): void {
    if (this.#stream === stream) this.#stream = undefined
  }

  #events(forget: () => void) {
    return {
      answer: ({ id, ttl }: Read<typeof LeaseKeepAliveResponse>) => {
        const line = this.#waiting.get(id)
        line?.shift()?.answer(id, ttl)
        if (line?.length === 0) this.#waiting.delete(id)
      },
      end: (error: EtcdError) => {
        forget()
        this.#fail(error)
      },
    }
  }

  #fail(error: EtcdError): void {
    const all = new Set([...this.#waiting.values()].flat())
    this.#waiting.clear()
    for (const waiting of all) waiting.reject(error)
  }
}
