import { sleep, type Clock, type Timer } from '../../../core/clock.js'
import type { Runtime } from '../../../core/runtime.js'
import { isPassing } from '../../errors.js'
import type { EventLog, Position, RecordedEvent } from '../../log.js'
import { SCHEDULED } from '../../transform.js'
import { bucketOf, dueMessage, dueOf, endOf } from './bucket.js'
import { DueQueue } from './due-queue.js'

const RETRY_MS = 1000
/** Until what was refused for good is tried again: somebody may have changed what refuses it. */
const REFUSED_MS = 600_000
/** The longest sleep: clocks are set, and machines suspended. */
const LOOK_MS = 60_000
/** Messages that are published at the same time. */
const PARALLEL = 64
/** So many revisions further on a message is read along. */
const NEAR = 8
/** What keeps scheduled messages from being truncated. */
const HOLD = 'scheduled messages'

/** A scheduled message that is due before its bucket ends. */
interface Pending {
  readonly due: number
  readonly bucket: string
  readonly revision: number
}

/** What is known of a bucket that is in memory. */
interface Bucket {
  /** The last revision that was seen. */
  last: number
  /** How many of its messages are still to be published. */
  left: number
}

/**
 * Publishes scheduled messages when they are due. Of all that is scheduled only what is due in this hour is in memory.
 *
 * Guarantee: late rather than never, and once: a message is published under its own id, which a log takes once for ever.
 * So several may do it at the same time, and whoever was killed begins its hour anew.
 */
export class Scheduler {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #clock: Clock
  readonly #closing = new AbortController()
  readonly #queue = new DueQueue<Pending>()
  readonly #buckets = new Map<string, Bucket>()
  readonly #following: Promise<void>
  /** Something keeps what is scheduled from being truncated. */
  #isHeld = false
  #timer: Timer | undefined
  #working: Promise<void> = Promise.resolve()

  constructor(log: EventLog, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
    this.#clock = runtime.clock
    this.#following = this.#follow()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    this.#timer?.cancel()
    await this.#following
    await this.#working
  }

  async #follow(): Promise<void> {
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        // What comes between this and the end of loading is seen twice, and kept once.
        const from = await this.#log.head()
        let reached = from
        await this.#load()
        const options = { from, signal, faults: 'give' as const }
        for await (const { events, position } of this.#log.follow({ category: SCHEDULED }, options)) {
          if (events.length > 0 && !this.#isHeld) await this.#hold(reached)
          reached = position
          for (const event of events) this.#keep(event)
          this.#wake()
        }
      } catch (error) {
        this.#warn(error)
        await sleep(this.#clock, RETRY_MS, signal).catch(() => undefined)
      }
    }
  }

  /** Takes what is due until the end of this hour into memory. */
  async #load(): Promise<void> {
    const now = bucketOf(this.#clock.wall())
    let oldest: number | undefined
    for await (const { stream, revision, firstRevision } of this.#log.streams({ category: SCHEDULED })) {
      if (firstRevision > revision) continue
      const isLater = stream > now
      const reading = this.#log.read({ stream }, { faults: 'give', ...(isLater && { limit: 1 }) })
      for await (const event of reading) {
        oldest = Math.min(oldest ?? Infinity, event.recorded)
        this.#keep(event)
      }
    }
    this.#isHeld = false
    if (oldest === undefined) await this.#log.release(HOLD)
    else await this.#hold(await this.#log.positionAt(oldest))
    this.#wake()
  }

  async #hold(position: Position): Promise<void> {
    await this.#log.hold(HOLD, position)
    this.#isHeld = true
  }

  #keep(event: RecordedEvent): void {
    const { stream, revision } = event
    if (stream > bucketOf(this.#clock.wall())) return
    let bucket = this.#buckets.get(stream)
    if (!bucket) this.#buckets.set(stream, (bucket = { last: -1, left: 0 }))
    if (revision <= bucket.last) return
    bucket.last = revision
    bucket.left++
    const due = dueOf(event)
    if (due !== undefined) this.#queue.push({ due, bucket: stream, revision })
    else this.#warn(`${stream}@${revision} does not say when it is due; it stays where it is`)
  }

  /** Sleeps until something is due, or the next hour begins. */
  #wake(): void {
    this.#timer?.cancel()
    if (this.#closing.signal.aborted) return
    const wall = this.#clock.wall()
    const next = Math.min(this.#queue.peek()?.due ?? Infinity, endOf(bucketOf(wall)))
    const wait = Math.min(Math.max(0, next - wall), LOOK_MS)
    const isNewHour = (): boolean => bucketOf(this.#clock.wall()) !== bucketOf(wall)
    this.#timer = this.#clock.schedule(this.#clock.now() + wait, () => {
      this.#working = this.#working
        .then(() => this.#publishDue())
        .then(() => (isNewHour() ? this.#turn() : undefined))
        .catch((error: unknown) => this.#warn(error))
        .then(() => this.#wake())
    })
  }

  /** A new hour has begun. */
  async #turn(): Promise<void> {
    const now = bucketOf(this.#clock.wall())
    for (const [stream, { left, last }] of this.#buckets) {
      // Those of the hour before may still get something from somebody whose clock is behind.
      if (left > 0 || endOf(stream) + 3_600_000 > endOf(now)) continue
      await this.#log.truncate({ stream, beforeRevision: last + 1 })
      this.#buckets.delete(stream)
    }
    await this.#load()
  }

  async #publishDue(): Promise<void> {
    while (!this.#closing.signal.aborted) {
      const due: Pending[] = []
      while (due.length < PARALLEL && (this.#queue.peek()?.due ?? Infinity) <= this.#clock.wall())
        due.push(this.#queue.shift()!)
      if (due.length === 0) return
      await Promise.all(runsOf(due).map((run) => this.#publish(run)))
    }
  }

  /** @param run - of one bucket, by revision, near each other */
  async #publish(run: readonly Pending[]): Promise<void> {
    const { bucket: stream, revision: fromRevision } = run[0]!
    const toRevision = run.at(-1)!.revision
    const found = new Map<number, RecordedEvent>()
    try {
      const options = { fromRevision, toRevision, faults: 'give' } as const
      for await (const event of this.#log.read({ stream }, options)) found.set(event.revision, event)
    } catch (error) {
      for (const pending of run) this.#again(pending, error)
      return
    }
    await Promise.all(run.map((pending) => this.#append(pending, found.get(pending.revision))))
  }

  /** @param event - undefined if somebody has truncated it */
  async #append(pending: Pending, event: RecordedEvent | undefined): Promise<void> {
    try {
      if (event?.fault) throw event.fault
      if (event) {
        const message = dueMessage(event)
        await this.#log.append({ streams: [{ stream: message.stream, events: [message.event] }] })
      }
      const bucket = this.#buckets.get(pending.bucket)
      if (bucket) bucket.left--
    } catch (error) {
      this.#again(pending, error)
    }
  }

  #again(pending: Pending, error: unknown): void {
    this.#warn(`${pending.bucket}@${pending.revision} is due and cannot be published: ${String(error)}`)
    const wait = isPassing(error) ? RETRY_MS : REFUSED_MS
    this.#queue.push({ ...pending, due: this.#clock.wall() + wait })
  }

  #warn(what: unknown): void {
    if (!this.#closing.signal.aborted)
      this.#runtime.telemetry.log('warn', `scheduled messages: ${String(what)}`)
  }
}

/** Those of one bucket that are near each other are read with one page. */
function runsOf(due: readonly Pending[]): Pending[][] {
  const runs: Pending[][] = []
  const inOrder = due.toSorted((a, b) =>
    a.bucket < b.bucket ? -1 : a.bucket > b.bucket ? 1 : a.revision - b.revision,
  )
  for (const pending of inOrder) {
    const run = runs.at(-1)
    const last = run?.at(-1)
    if (last?.bucket === pending.bucket && pending.revision - last.revision <= NEAR) run!.push(pending)
    else runs.push([pending])
  }
  return runs
}

/** One for each log of this process, for as long as somebody needs it. */
const running = new WeakMap<EventLog, { scheduler: Scheduler; users: number }>()

/** Publishes the scheduled messages of a log until what is returned is called. */
export function deliverScheduled(log: EventLog, runtime: Runtime): () => Promise<void> {
  let shared = running.get(log)
  if (!shared) running.set(log, (shared = { scheduler: new Scheduler(log, runtime), users: 0 }))
  shared.users++
  let isOver = false
  return async () => {
    if (isOver) return
    isOver = true
    if (--shared.users > 0) return
    running.delete(log)
    await shared.scheduler.close()
  }
}
