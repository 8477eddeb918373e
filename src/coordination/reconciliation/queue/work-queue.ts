import type { Timer } from '../../../core/clock.js'
import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { checkOptionNames } from '../../../core/options.js'
import type { Runtime } from '../../../core/runtime.js'
import { coordinationError } from '../../errors.js'
import { onAbort } from '../../on-abort.js'
import { Backlog } from './backlog.js'
import { Bucket } from './bucket.js'
import { QueueMeter } from './meter.js'
import { settingsOf, type AddOptions, type WorkQueueOptions, type WorkQueueSettings } from './options.js'
import { RetryWaits } from './retry-waits.js'

/** A key that was taken from a queue. Nobody else is given it until `done`. */
export interface WorkItem {
  readonly key: string
  /** The highest that it was added with. */
  readonly priority: number
  /** Its work has ended, well or not; the second time does nothing. What was added meanwhile can be taken now. */
  done(): void
}

/** See {@link workQueue}. */
export interface WorkQueue extends AsyncDisposable {
  /** How many keys would be taken if there were workers enough; also those that wait for the end of work on them. */
  readonly depth: number
  /** How many keys wait for their time. */
  readonly delayed: number
  /** How many keys are taken, and not done. */
  readonly working: number

  /**
   * Adds a key. One that waits already stays one, with the higher priority; one that waits for its time waits no longer.
   *
   * @throws `BANYAN_INVALID_KEY`, `BANYAN_INVALID_OPTIONS`
   */
  add(key: string, options?: AddOptions): void

  /**
   * Adds a key when a while has passed. If it waits already, the earlier of both times counts, and the higher priority: who has
   * to look again at a time asks for it with every run.
   *
   * @param wait - in ms or as text
   * @throws `BANYAN_INVALID_KEY`, `BANYAN_INVALID_OPTIONS`
   */
  addAfter(key: string, wait: Duration, options?: AddOptions): void

  /**
   * Counts a failure of a key, and adds it when the backoff and the bucket say so.
   *
   * @param options.priority - default: that with which it was taken, if it is worked on
   * @returns how long it will wait at most, in ms
   * @throws `BANYAN_INVALID_KEY`, `BANYAN_INVALID_OPTIONS`
   */
  retry(key: string, options?: AddOptions): number

  /** Its failures count no more: it has worked, or will never be tried again. Failures are kept until then. */
  forget(key: string): void

  /** How often `retry` was called for a key since it was forgotten. */
  failures(key: string): number

  /**
   * Takes the next key, and waits until there is one. Who waits longest is served first.
   *
   * @returns undefined if the queue is shut down, and nothing will come any more
   * @throws the reason of the signal
   */
  take(signal?: AbortSignal): Promise<WorkItem | undefined>

  /** From now on nothing is added, and what waits for its time is dropped. What waits for a worker can still be taken. */
  shutDown(): void

  /**
   * Shuts down, and waits until everything that waited for a worker was taken and is done.
   *
   * @param signal - ends the waiting
   * @throws the reason of the signal
   */
  drain(signal?: AbortSignal): Promise<void>

  /** Shuts down, drops also what waits for a worker, and waits for the end of what is worked on. */
  close(): Promise<void>
}

/**
 * The keys of what has to be looked at, each once, however often it was asked for: the queue between those who see that something
 * has changed and the workers who set it right.
 *
 * - A key waits once at most, and never has two workers. If it is added while it is worked on it can be taken again behind that, once.
 * - Among keys of one priority the first that could be worked on comes first. A higher priority comes earlier, and no key waits for
 *   ever for those of a higher one: see {@link WorkQueueOptions.ageing}.
 * - What has failed is tried again later, each time after twice as long, and all keys together not more often than a limit says.
 * - It is in memory, as what it is filled from can be listed again, and has one entry for a key at most.
 *
 * A key that waits for its time costs no timer: there is one, for the next.
 *
 * Source: `util/workqueue` of Kubernetes' client-go, and the priority queue of controller-runtime. Different from the first: a key has
 * one time, so that adding it now also ends the waiting for later.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function workQueue(options: WorkQueueOptions = {}): WorkQueue {
  return new MemoryWorkQueue(settingsOf(options))
}

/** Priorities are from minus this to this: added to a time, none of them takes away its milliseconds. */
const MAX_PRIORITY = 1_000_000

/** Somebody who waits for work. */
interface Taker {
  readonly give: (item: WorkItem | undefined) => void
}

class MemoryWorkQueue implements WorkQueue {
  readonly #clock: Runtime['clock']
  readonly #working = new Map<string, Item>()
  readonly #backlog: Backlog
  readonly #waits: RetryWaits
  readonly #meter: QueueMeter
  /** Nobody waits while something is ready. */
  readonly #takers = new Set<Taker>()
  readonly #ended: Promise<void>
  #end: () => void = () => undefined
  #isOpen = true
  #timer: Timer | undefined
  #timerDue = Infinity

  constructor({ name, growth, jitter, bucket, ageing, runtime }: WorkQueueSettings) {
    const { clock, random, telemetry } = runtime
    this.#clock = clock
    this.#backlog = new Backlog(ageing, this.#working)
    this.#waits = new RetryWaits(growth, jitter, bucket && new Bucket(bucket.rate, bucket.burst), random)
    this.#ended = new Promise((resolve) => (this.#end = resolve))
    const working = this.#working
    this.#meter = new QueueMeter(name, telemetry, {
      depth: () => this.depth,
      delayed: () => this.delayed,
      working: () => this.working,
      ages: () => Array.from(working.values(), ({ taken }) => clock.now() - taken),
    })
  }

  get depth(): number {
    return this.#backlog.depth
  }

  get delayed(): number {
    return this.#backlog.delayed
  }

  get working(): number {
    return this.#working.size
  }

  add(key: string, options?: AddOptions): void {
    this.#add(key, 0, priorityOf('add', options))
  }

  addAfter(key: string, wait: Duration, options?: AddOptions): void {
    this.#add(key, duration(wait, 'addAfter: wait'), priorityOf('addAfter', options))
  }

  retry(key: string, options?: AddOptions): number {
    const priority = priorityOf('retry', options, this.#working.get(key)?.priority)
    checkKey(key)
    const wait = this.#waits.next(key, this.#clock.now())
    this.#meter.retried()
    this.#add(key, wait, priority)
    return wait
  }

  forget(key: string): void {
    this.#waits.forget(key)
  }

  failures(key: string): number {
    return this.#waits.failures(key)
  }

  async take(signal?: AbortSignal): Promise<WorkItem | undefined> {
    signal?.throwIfAborted()
    // The timer may be late, as the event loop was busy.
    this.#promote()
    const item = this.#next()
    if (item || this.#isOver) return item
    return new Promise((resolve, reject) => {
      const taker: Taker = {
        give: (given) => {
          stopListening?.()
          resolve(given)
        },
      }
      this.#takers.add(taker)
      const stopListening =
        signal &&
        onAbort(signal, () => {
          this.#takers.delete(taker)
          reject(signal.reason as Error)
        })
    })
  }

  shutDown(): void {
    this.#isOpen = false
    this.#backlog.dropDelayed()
    this.#arm()
    this.#endIfOver()
  }

  async drain(signal?: AbortSignal): Promise<void> {
    this.shutDown()
    if (!signal) return this.#ended
    return new Promise((resolve, reject) => {
      const stopListening = onAbort(signal, () => reject(signal.reason as Error))
      void this.#ended.then(() => {
        stopListening()
        resolve()
      })
    })
  }

  async close(): Promise<void> {
    this.#backlog.drop()
    this.shutDown()
    await this.#ended
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  #add(key: string, wait: number, priority: number): void {
    checkKey(key)
    if (!this.#isOpen) return
    const now = this.#clock.now()
    if (this.#backlog.add(key, now + wait, priority, now)) {
      this.#meter.added(1)
      this.#serve()
    }
    this.#arm()
  }

  /** Gives what is ready to those who wait. */
  #serve(): void {
    for (const taker of this.#takers) {
      const item = this.#next()
      if (!item) return
      this.#takers.delete(taker)
      taker.give(item)
    }
  }

  #next(): Item | undefined {
    const pending = this.#backlog.take()
    if (!pending) return undefined
    const now = this.#clock.now()
    const item = new Item(pending.key, pending.priority, now, this.#finish)
    this.#working.set(item.key, item)
    this.#meter.taken(now - pending.due)
    return item
  }

  readonly #finish = (item: Item): void => {
    this.#working.delete(item.key)
    this.#meter.done(this.#clock.now() - item.taken)
    this.#backlog.release(item.key)
    this.#serve()
    this.#endIfOver()
  }

  /** Sees to it that the timer goes off when the next of the delayed is due; that it does so too early does no harm. */
  #arm(): void {
    const due = this.#backlog.nextDue ?? Infinity
    // Without anybody to wake, it would only keep the process alive.
    if (due !== Infinity && this.#timerDue <= due) return
    this.#timer?.cancel()
    this.#timerDue = due
    this.#timer = due === Infinity ? undefined : this.#clock.schedule(due, this.#wake)
  }

  readonly #wake = (): void => {
    this.#timer = undefined
    this.#timerDue = Infinity
    this.#promote()
    this.#arm()
  }

  #promote(): void {
    this.#meter.added(this.#backlog.promote(this.#clock.now()))
    this.#serve()
  }

  /** Whether nothing will be taken any more: what is worked on was not added again. */
  get #isOver(): boolean {
    return !this.#isOpen && this.#backlog.depth === 0
  }

  #endIfOver(): void {
    if (!this.#isOver) return
    for (const taker of this.#takers) taker.give(undefined)
    this.#takers.clear()
    if (this.#working.size > 0) return
    this.#meter.close()
    this.#end()
  }
}

class Item implements WorkItem {
  readonly key: string
  readonly priority: number
  /** When, in ms. */
  readonly taken: number
  #finish: ((item: Item) => void) | undefined

  constructor(key: string, priority: number, taken: number, finish: (item: Item) => void) {
    this.key = key
    this.priority = priority
    this.taken = taken
    this.#finish = finish
  }

  done(): void {
    const finish = this.#finish
    this.#finish = undefined
    finish?.(this)
  }
}

function checkKey(key: string): void {
  if (typeof key !== 'string' || key === '')
    throw coordinationError(
      'BANYAN_INVALID_KEY',
      `a key must be text and not empty, got ${JSON.stringify(key)}`,
    )
}

const ADD_OPTIONS: readonly (keyof AddOptions)[] = ['priority']

function priorityOf(owner: string, options: AddOptions | undefined, usual = 0): number {
  if (!options) return usual
  checkOptionNames(owner, ADD_OPTIONS, options)
  const { priority = usual } = options
  if (typeof priority === 'number' && Math.abs(priority) <= MAX_PRIORITY) return priority
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `${owner}: priority must be a number from -${MAX_PRIORITY} to ${MAX_PRIORITY}, got ${String(priority)}`,
  )
}
