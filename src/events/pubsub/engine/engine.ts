import { backoffWait } from '../../../core/backoff.js'
import { sleep, type Clock } from '../../../core/clock.js'
import { isPassing } from '../../errors.js'
import type { EventLog, Position, StreamAppend } from '../../log.js'
import { Fifo } from '../lanes/fifo.js'
import type { Entry, Lane } from '../lanes/lane.js'
import type { Partition } from '../lanes/partition.js'
import { readLedger } from '../ledger/ledger.js'
import type { LedgerState } from '../ledger/state.js'
import type { Settings } from '../options.js'
import { Delivery, type Verdict } from './delivery.js'
import { Meter } from './meter.js'
import { refill, type Hungry } from './refill.js'
import { partitionOf, routeOf } from './route.js'
import { Slot, type SlotOwner } from './slot.js'

/** Takes one message. */
export type Taker = (delivery: Delivery) => void

/** A taker, until it is served or does not want to be any more. */
interface Request {
  taker: Taker | undefined
}

/** What an engine works with, besides its settings. */
export interface EngineContext {
  /** Of this process's share in the subscription. */
  readonly member: () => string
  /** How many there are. */
  readonly partitions: number
  /** Where a new subscription begins. */
  readonly from: Position
  readonly ledgerOf: (partition: number) => string
  readonly holdOf: (partition: number) => string
  /** What is appended when a partition is released. */
  readonly freed: (partition: number) => StreamAppend
  /** A partition has another owner now. */
  readonly lost: (partition: number) => void
}

/** Whoever releases a message more often in a row than this has begun with it: else one that nobody keeps would come for ever. */
const MOST_RELEASES = 10
const RETRY_FIRST_MS = 100
const RETRY_LAST_MS = 10_000
/** How often a cursor is written that has passed only what is not for the subscription: for what it holds back in the log. */
const PASSED_MS = 3_600_000
/** The same, if some of it was of the topic: a partition without messages should not seem to be far behind. */
const OTHERS_MS = 30_000

/**
 * Brings messages from the log through the lanes of the partitions that this process owns to whoever takes them, and
 * writes down what became of them.
 */
export class Engine implements SlotOwner {
  readonly #log: EventLog
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #context: EngineContext
  readonly #meter: Meter
  readonly #slots = new Map<number, Slot>()
  readonly #ready = new Fifo<{ slot: Slot; partition: Partition; lane: Lane }>()
  readonly #takers = new Fifo<Request>()
  /** Deliveries that were written down, and that nobody has yet. */
  #prepared: Delivery[] = []
  /** How many are being written down. */
  #preparing = 0
  #hungry: Hungry[] = []
  #isRefilling = false
  #isScheduled = false
  #isPaused = false
  #feeding: AbortController | undefined
  #reached: Position | undefined
  #waiting: (() => void)[] = []
  readonly #closing = new AbortController()
  /** Why nothing is read at the moment. */
  fault: string | undefined

  constructor(log: EventLog, settings: Settings, context: EngineContext) {
    this.#log = log
    this.#settings = settings
    this.#context = context
    this.#clock = settings.runtime.clock
    this.#meter = new Meter(
      settings.runtime,
      settings.name,
      () => this.held,
      () => this.stalled,
    )
  }

  /** Messages in memory that are not settled for good. */
  get held(): number {
    let held = 0
    for (const { partition } of this.#slots.values()) held += partition.held
    return held
  }

  /** Lanes that do not simply go on. */
  get stalled(): number {
    let stalled = 0
    for (const { partition } of this.#slots.values()) stalled += partition.stalled
    return stalled
  }

  /** The partitions that it works on. */
  get partitions(): readonly number[] {
    return [...this.#slots.keys()].sort((a, b) => a - b)
  }

  /**
   * Works on a partition that was claimed.
   *
   * @param isClean - the owner before has released it
   */
  own(index: number, state: LedgerState, isClean: boolean): void {
    const { ledgerOf, holdOf, member } = this.#context
    const { window, hold, runtime, name, deadline } = this.#settings
    const slot = new Slot(index, this.#log, ledgerOf(index), state, this, {
      id: member(),
      hold: hold ? holdOf(index) : undefined,
      wary: isClean ? 0 : window,
      runtime,
      subscription: name,
      deadline,
    })
    this.#slots.set(index, slot)
    slot.begin()
    // One reader for all partitions: it goes back to the one that is furthest behind, the others pass what they had.
    if (this.#reached === undefined || state.cursor < this.#reached) this.#feedAnew()
  }

  /** Gives a partition up: what is in flight of it is waited for, and everything written. */
  release(index: number): Promise<void> {
    const slot = this.#slots.get(index)
    if (!slot) return Promise.resolve()
    return (slot.releasing ??= this.#release(slot))
  }

  async #release(slot: Slot): Promise<void> {
    await this.#drain(slot)
    const { drain } = this.#settings
    // What cannot be written now is not waited for: it is done again by whoever comes next.
    const timer = this.#clock.schedule(this.#clock.now() + drain, () => slot.ledger.stop())
    const isReleased = await slot.ledger.release(this.#context.freed(slot.index))
    timer.cancel()
    this.#remove(slot)
    if (!isReleased) this.#context.lost(slot.index)
  }

  /**
   * Gives all partitions up at once.
   *
   * @param why - told to who has something in flight
   */
  abandon(why: string): void {
    for (const slot of this.#slots.values()) {
      slot.drop(why)
      this.#remove(slot)
    }
  }

  /** Others have written to a ledger. */
  async look(index: number): Promise<void> {
    await this.#slots.get(index)?.ledger.look()
  }

  /** Gives the next message to a taker; what is returned takes it back. */
  take(taker: Taker): () => void {
    const request: Request = { taker }
    this.#takers.push(request)
    this.#schedule()
    return () => (request.taker = undefined)
  }

  pause(isPaused: boolean): void {
    this.#isPaused = isPaused
    this.#schedule()
  }

  /** Ends everything; what was claimed is released. */
  async close(): Promise<void> {
    this.#stopFeeding()
    this.#closing.abort()
    await Promise.all([...this.#slots.keys()].map((index) => this.release(index)))
    this.#meter.close()
  }

  ready(slot: Slot, partition: Partition, lane: Lane): void {
    this.#ready.push({ slot, partition, lane })
    this.#schedule()
  }

  hungry({ index }: Slot, partition: Partition, lane: Lane): void {
    this.#hungry.push({ lane, partition, index })
    if (!this.#isRefilling) void this.#refill()
  }

  written(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const resolve of waiting) resolve()
  }

  sought(slot: Slot): void {
    void this.#seek(slot)
  }

  lost(slot: Slot, why: unknown): void {
    this.#settings.runtime.telemetry.log(
      'warn',
      `subscription ${this.#settings.name} does not work on partition ${slot.index} any more: ${String(why)}`,
    )
    slot.drop('another process has taken the partition over')
    this.#remove(slot)
    this.#context.lost(slot.index)
  }

  ended(slot: Slot, delivery: Delivery, verdict: Verdict): Promise<void> {
    const { entry } = delivery
    const took = this.#clock.now() - delivery.begun
    if (this.#settings.delivery === 'at-most-once') {
      slot.partition.free(entry)
      this.written()
      this.#meter.ended(verdict.is === 'handled' ? 'handled' : 'dropped', took)
      return Promise.resolve()
    }
    if (verdict.is === 'handled') {
      slot.partition.settle(entry)
      this.#meter.ended('handled', took)
    } else if (verdict.is === 'released' && entry.releases < MOST_RELEASES) {
      slot.partition.putBack(entry)
      this.#meter.ended('released', took)
    } else {
      const isLast = verdict.is === 'rejected' || delivery.attempt >= this.#settings.attempts
      const delay = verdict.is === 'failed' ? verdict.delay : undefined
      const reason = verdict.is === 'released' ? 'it was released again and again' : verdict.reason
      slot.partition.fail(entry, {
        reason,
        then: isLast ? this.#park : (delay ?? this.#backoff(delivery.attempt)),
      })
      if (isLast) this.#tellDead(entry, reason)
      this.#meter.ended(isLast ? 'dead-lettered' : 'failed', took)
    }
    return slot.ledger.write()
  }

  #tellDead({ event }: Entry, reason: string): void {
    this.#settings.runtime.telemetry.log(
      'error',
      `subscription ${this.#settings.name}: ${event.id} of ${event.stream} is a dead letter: ${reason}`,
    )
  }

  get #park(): 'park-key' | 'park-message' {
    return this.#settings.park === 'key' ? 'park-key' : 'park-message'
  }

  #backoff(attempt: number): number {
    const { backoff, runtime } = this.#settings
    return backoffWait(backoff, attempt, 'equal', runtime.random)
  }

  /** Not at once: whoever says that something is ready is in the middle of its work. */
  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    while (!this.#isPaused) {
      const taker = this.#nextTaker()
      if (!taker) return
      const delivery = this.#nextPrepared() ?? this.#nextDelivery()
      if (!delivery) return
      this.#takers.shift()
      delivery.begin()
      taker(delivery)
    }
  }

  /** One that was written down, unless it has ended since. */
  #nextPrepared(): Delivery | undefined {
    for (let delivery = this.#prepared.shift(); delivery; delivery = this.#prepared.shift())
      if (!delivery.hasEnded) return delivery
    return undefined
  }

  /** The next one that can be handed over at once; begins to prepare others, for no more takers than there are. */
  #nextDelivery(): Delivery | undefined {
    while (this.#preparing < this.#takers.length) {
      const next = this.#ready.shift()
      if (!next) return undefined
      const { slot, partition, lane } = next
      const entry = slot.isOpen && slot.partition === partition ? partition.take(lane) : undefined
      if (!entry) continue
      const attempts = partition.attemptsOf(entry)
      if (entry.fault !== undefined || attempts >= this.#settings.attempts) {
        const reason = entry.fault ?? `${attempts} times the process ended while it was handled`
        partition.fail(entry, { reason, then: this.#park })
        this.#tellDead(entry, reason)
        this.#meter.ended('dead-lettered', 0)
        void slot.ledger.write()
        continue
      }
      const delivery = new Delivery(slot, entry, attempts + 1)
      slot.deliveries.add(delivery)
      if (!this.#mustBeWritten(slot, entry)) return delivery
      this.#preparing++
      void slot.ledger.write().then(() => this.#isPrepared(slot, delivery))
    }
    return undefined
  }

  /** Notes what has to be durable before a message is handed over, if anything has. */
  #mustBeWritten(slot: Slot, entry: Entry): boolean {
    if (this.#settings.delivery === 'at-most-once') slot.partition.acknowledge(entry)
    else if (slot.wary > 0) {
      slot.wary--
      slot.partition.mark(entry)
    } else return false
    return true
  }

  #isPrepared(slot: Slot, delivery: Delivery): void {
    this.#preparing--
    if (!slot.deliveries.has(delivery)) return
    // Whoever has the partition next delivers it.
    if (!slot.isOpen) slot.left(delivery)
    else this.#prepared.push(delivery)
    this.#schedule()
  }

  /** The first that still wants a message. */
  #nextTaker(): Taker | undefined {
    while (this.#takers.length > 0) {
      const { taker } = this.#takers.peek()!
      if (taker) return taker
      this.#takers.shift()
    }
    return undefined
  }

  async #drain(slot: Slot): Promise<void> {
    const { drain } = this.#settings
    // Nobody has those yet.
    this.#prepared = this.#prepared.filter((delivery) => {
      if (!slot.deliveries.has(delivery)) return true
      slot.left(delivery)
      return false
    })
    const drained = slot.drained()
    const timer = this.#clock.schedule(this.#clock.now() + drain, () =>
      slot.drop('the subscription has ended, and did not wait for it any longer'),
    )
    await drained
    timer.cancel()
  }

  #remove(slot: Slot): void {
    slot.end()
    if (this.#slots.get(slot.index) === slot) this.#slots.delete(slot.index)
    if (this.#slots.size === 0) this.#stopFeeding()
    // What it held has made room.
    else this.written()
  }

  async #seek(slot: Slot): Promise<void> {
    slot.drop('an operator has moved the subscription to another place')
    await slot.drained()
    for (let pause = RETRY_FIRST_MS; this.#slots.get(slot.index) === slot; pause *= 2) {
      try {
        const state = await readLedger(this.#log, slot.ledger.stream, this.#context.from)
        slot.restart(state)
        this.#feedAnew()
        return
      } catch (error) {
        if (!isPassing(error)) {
          this.lost(slot, error)
          return
        }
        await sleep(this.#clock, Math.min(pause, RETRY_LAST_MS))
      }
    }
  }

  #stopFeeding(): void {
    this.#feeding?.abort()
    this.#reached = undefined
    this.written()
  }

  #feedAnew(): void {
    this.#stopFeeding()
    if (this.#closing.signal.aborted) return
    this.#feeding = new AbortController()
    let from: Position | undefined
    for (const { partition } of this.#slots.values())
      if (from === undefined || partition.fetched < from) from = partition.fetched
    if (from !== undefined) void this.#feed(from, this.#feeding.signal)
  }

  /** Offers what is there and what comes, for as long as it can. */
  async #feed(start: Position, signal: AbortSignal): Promise<void> {
    this.#reached = start
    for (let pause = RETRY_FIRST_MS; !signal.aborted; pause = Math.min(pause * 2, RETRY_LAST_MS)) {
      try {
        await this.#follow(signal)
        return
      } catch (error) {
        if (this.#feeding?.signal !== signal || this.#feeding.signal.aborted) return
        this.fault = error instanceof Error ? error.message : String(error)
        this.#settings.runtime.telemetry.log('error', `subscription ${this.#settings.name}: ${this.fault}`)
        await sleep(this.#clock, pause, signal).catch(() => undefined)
      }
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { selector } = this.#settings
    const options = { from: this.#reached!, signal, faults: 'give' as const }
    let passedAt = this.#clock.now()
    let hasOthers = false
    for await (const { events, position, truncated } of this.#log.follow(selector, options)) {
      this.fault = undefined
      if (truncated)
        this.#settings.runtime.telemetry.log(
          'error',
          `subscription ${this.#settings.name}: events before ${position} were truncated before they were handled`,
        )
      for (const event of events) {
        const route = routeOf(event, this.#settings)
        const index = route && partitionOf(route.key ?? event.id, this.#context.partitions)
        if (index !== undefined && this.#isFull && this.#slots.has(index)) await this.#room(true, signal)
        // A partition that has come meanwhile needs what this reader has passed: another one has begun.
        if (signal.aborted) return
        this.fault = undefined
        if (index !== undefined) this.#slots.get(index)?.partition.offer(event, route!.key, route!.fault)
        this.#reached = event.position
        hasOthers ||= route !== undefined
      }
      if (signal.aborted) return
      this.#reached = position
      const isPassed = this.#clock.now() - passedAt >= (hasOthers ? OTHERS_MS : PASSED_MS)
      for (const slot of this.#slots.values()) {
        slot.partition.reached(position)
        if (isPassed) slot.partition.touch()
        if (isPassed) void slot.ledger.write()
      }
      if (!isPassed) continue
      passedAt = this.#clock.now()
      hasOthers = false
    }
  }

  get #isFull(): boolean {
    return this.held >= this.#settings.window || this.stalled >= this.#settings.stalled
  }

  /** Waits until there is room for another message. */
  async #room(mayStall: boolean, signal: AbortSignal): Promise<void> {
    const { window, stalled } = this.#settings
    while (!signal.aborted) {
      const isStuck = mayStall && this.stalled >= stalled
      if (isStuck)
        this.fault = `${this.stalled} keys wait for another try, or are parked: nothing new is fetched until some of them are done`
      if (!isStuck && (this.held < window || this.#spill())) return
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** @returns whether there is room then */
  #spill(): boolean {
    for (const { partition, ledger } of this.#slots.values()) if (partition.spill()) void ledger.write()
    return this.held < this.#settings.window
  }

  async #refill(): Promise<void> {
    this.#isRefilling = true
    try {
      while (this.#hungry.length > 0) {
        const waiting = this.#hungry.filter(
          ({ index, partition }) => this.#slots.get(index)?.partition === partition,
        )
        this.#hungry = []
        if (waiting.length === 0) return
        await this.#room(false, this.#closing.signal)
        const served = await this.#refillSome(waiting)
        this.#hungry.push(...waiting.filter((one) => !served.includes(one)))
      }
    } finally {
      this.#isRefilling = false
    }
  }

  async #refillSome(waiting: readonly Hungry[]): Promise<readonly Hungry[]> {
    const signal = this.#closing.signal
    try {
      return await refill(this.#log, this.#settings, this.#context.partitions, waiting, signal)
    } catch (error) {
      this.#settings.runtime.telemetry.log('warn', `subscription ${this.#settings.name}: ${String(error)}`)
      await sleep(this.#clock, RETRY_LAST_MS / 10, signal).catch(() => undefined)
      return signal.aborted ? waiting : []
    }
  }
}
