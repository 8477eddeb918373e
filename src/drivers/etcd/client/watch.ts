import type { EtcdError } from './fault.js'
import type { Event, WatchCreateRequest, WatchResponse } from './messages.js'
import type { Bytes } from './wire.js'

/** What has happened up to a revision: whole revisions, in order. Without events nothing has that is watched for. */
export interface WatchBatch {
  readonly revision: number
  readonly events: readonly Event[]
}

/** What to watch. */
export type WatchRequest = Pick<
  WatchCreateRequest,
  'rangeEnd' | 'startRevision' | 'prevKv' | 'progressNotify' | 'filters'
> & { readonly key: Bytes }

/**
 * How many events, and bytes of them, wait for whoever reads them before etcd keeps the rest: it sends them again when they are
 * wanted.
 */
const EVENTS_AHEAD = 10_000
const BYTES_AHEAD = 8 * 1024 * 1024

/** Who makes it come true. */
export interface WatchKeeper {
  /** It has to be asked of etcd, from its next revision on. */
  wanted(watch: Watch): void
  /** Nothing of it is wanted now. */
  unwanted(watch: Watch): void
}

/**
 * Changes in the order of their revisions, none left out, however often the connection breaks. Read by one. The first batch
 * of one that has no `startRevision` says where it begins.
 */
export class Watch implements AsyncIterable<WatchBatch> {
  readonly #request: WatchRequest
  readonly #keeper: WatchKeeper
  readonly #signal: AbortSignal | undefined
  readonly #batches: WatchBatch[] = []
  /** Fragments of an answer that is not complete. */
  #parts: Event[] = []
  #partBytes = 0
  #eventsAhead = 0
  #bytesAhead = 0
  #paused = false
  /** Whether something may have been behind what is known when it is asked for the next time. */
  #isBehind = false
  #next: number
  #error: EtcdError | undefined
  #over = false
  #wake: (() => void) | undefined

  constructor(request: WatchRequest, keeper: WatchKeeper, signal: AbortSignal | undefined) {
    this.#request = request
    this.#keeper = keeper
    this.#signal = signal
    this.#next = request.startRevision ?? 0
    if (signal?.aborted) this.#over = true
    else {
      signal?.addEventListener('abort', this.#abort, { once: true })
      keeper.wanted(this)
    }
  }

  /**
   * What to ask of etcd now: what is to come, at first, as etcd is at once at that and up to 100 ms late at what has been.
   *
   * What has been is asked for from the last revision on that is known: if that is kept, everything behind it is. What was
   * compacted to is not told completely, its deletions may be gone (etcd-io/etcd#19179).
   */
  begin(): WatchCreateRequest {
    this.#parts = []
    this.#partBytes = 0
    const startRevision = this.#isBehind && this.#next > 1 ? this.#next - 1 : this.#next
    return { ...this.#request, startRevision, fragment: true }
  }

  get key(): Bytes {
    return this.#request.key
  }

  /** The last revision that was told, or need not be; 0 if it begins anywhere. */
  get known(): number {
    return Math.max(0, this.#next - 1)
  }

  /**
   * It was accepted, at a revision of etcd.
   *
   * @returns false if it has to be asked for again, as something has been that was taken for what is to come
   */
  created(revision: number): boolean {
    if (this.#next === 0) this.#push({ revision, events: [] })
    else if (!this.#isBehind && revision >= this.#next) {
      this.#isBehind = true
      return false
    }
    this.#isBehind = true
    return true
  }

  /** Something came. */
  answer({ header, events, fragment }: WatchResponse): void {
    for (const event of events) this.#parts.push(event)
    this.#partBytes += bytesOf(events)
    if (fragment) {
      if (this.#bytesAhead + this.#partBytes >= BYTES_AHEAD) this.#takeWhole()
      return
    }
    const parts = this.#parts
    this.#parts = []
    this.#partBytes = 0
    const whole = this.#unknown(parts)
    if (parts.length > 0 && whole.length === 0) return
    const revision = whole.at(-1)?.kv?.modRevision ?? header?.revision ?? 0
    // What is told of progress may be older than what was asked for.
    if (revision >= this.#next) this.#push({ revision, events: whole })
  }

  /** It cannot go on. */
  fail(error: EtcdError): void {
    if (this.#over) return
    this.#error = error
    this.#end()
  }

  close(): void {
    this.#batches.length = 0
    this.#end()
  }

  /**
   * Ends when the signal aborts.
   *
   * @throws CompactedError if what comes next was compacted; EtcdError if it is refused, or the client was closed
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<WatchBatch, void, undefined> {
    try {
      for (;;) {
        const batch = this.#batches.shift()
        if (batch) {
          this.#eventsAhead -= batch.events.length
          this.#bytesAhead -= bytesOf(batch.events)
          yield batch
        } else if (this.#error) throw this.#error
        else if (this.#over) return
        else {
          if (this.#paused) this.#resume()
          await new Promise<void>((resolve) => (this.#wake = resolve))
        }
      }
    } finally {
      this.close()
    }
  }

  /** What is whole of an answer that is not complete: the last revision may have more. */
  #takeWhole(): void {
    const last = this.#parts.at(-1)!.kv!.modRevision
    const end = this.#parts.findIndex(({ kv }) => kv!.modRevision === last)
    const events = this.#unknown(this.#parts.splice(0, end))
    this.#partBytes = bytesOf(this.#parts)
    if (events.length > 0) this.#push({ revision: events.at(-1)!.kv!.modRevision, events })
  }

  /** Those of events that were not told yet. */
  #unknown(events: Event[]): Event[] {
    if (events.length === 0 || events[0]!.kv!.modRevision >= this.#next) return events
    return events.filter(({ kv }) => kv!.modRevision >= this.#next)
  }

  #push(batch: WatchBatch): void {
    this.#next = batch.revision + 1
    this.#batches.push(batch)
    this.#eventsAhead += batch.events.length
    this.#bytesAhead += bytesOf(batch.events)
    if (this.#eventsAhead >= EVENTS_AHEAD || this.#bytesAhead >= BYTES_AHEAD) {
      this.#paused = true
      this.#keeper.unwanted(this)
    }
    this.#wake?.()
  }

  #resume(): void {
    this.#paused = false
    this.#keeper.wanted(this)
  }

  readonly #abort = (): void => this.close()

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#signal?.removeEventListener('abort', this.#abort)
    this.#keeper.unwanted(this)
    this.#wake?.()
  }
}

function bytesOf(events: readonly Event[]): number {
  let bytes = 0
  for (const { kv, prevKv } of events) bytes += lengthOf(kv) + lengthOf(prevKv)
  return bytes
}

function lengthOf(kv: Event['kv']): number {
  return kv ? kv.key.length + kv.value.length : 0
}
