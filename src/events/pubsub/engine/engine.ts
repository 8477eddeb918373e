import { backoffWait } from '../../../core/backoff.js'
import { sleep, type Clock, type Timer } from '../../../core/clock.js'
import { isPassing } from '../../errors.js'
import type { EventLog, Position, StreamAppend } from '../../log.js'
import type { OwnedPart } from '../../owned-part.js'
import { Fifo } from '../lanes/fifo.js'
import type { Entry, Lane } from '../lanes/lane.js'
import type { Partition } from '../lanes/partition.js'
import { shortened } from '../lanes/reason.js'
import { readLedger, TAKEN_OVER } from '../ledger/ledger.js'
import type { LedgerState } from '../ledger/state.js'
import type { Settings } from '../options.js'
import { Delivery, ended, type Verdict } from './delivery.js'
import { Isolation, type Isolated } from './isolation.js'
import { Meter } from './meter.js'
import { Occupation } from './occupation.js'
import { refill, type Hungry } from './refill.js'
import { partitionOf, routeOf } from './route.js'
import { Slot, type SlotOwner } from './slot.js'
import { Tenure } from './tenure.js'

/** Takes one message. */
export type Taker = (delivery: Delivery) => void

/** A taker, until it is served or does not want to be any more. */
interface Request {
  taker: Taker | undefined
}

/** A lane with a message that may be delivered. */
interface Ready {
  readonly slot: Slot
  readonly partition: Partition
  readonly lane: Lane
}

/** A message that is tried alone. */
interface Alone {
  readonly slot: Slot
  readonly delivery: Delivery
  isWritten: boolean
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
export class Engine implements SlotOwner, Isolated {
  readonly #log: EventLog
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #context: EngineContext
  readonly #meter: Meter
  readonly #isolation: Isolation
  readonly #slots = new Map<number, Slot>()
  readonly #ready = new Fifo<Ready>()
  readonly #takers = new Fifo<Request>()
  /** Deliveries that were written down, and that nobody has yet. */
  #prepared: Delivery[] = []
  /** How many are being written down. */
  #preparing = 0
  /** What is tried alone, or about to be. */
  #alone: Alone | undefined
  /** Until it does not wait to be alone any longer, or does not let others wait. */
  #patience: Timer | undefined
  #hungry: Hungry[] = []
  #isRefilling = false
  #isScheduled = false
  #isPaused = false
  #feeding: AbortController | undefined
  #reached: Position | undefined
  #waiting: (() => void)[] = []
  readonly #closing = new AbortController()
  /** Partitions whose ledgers cannot be written, with why. */
  readonly #refused = new Map<number, string>()
  /** Why nothing is read at the moment. */
  #fault: string | undefined

  constructor(log: EventLog, settings: Settings, context: EngineContext) {
    this.#log = log
    this.#settings = settings
    this.#context = context
    this.#clock = settings.runtime.clock
    this.#isolation = Isolation.of(this.#clock)
    this.#isolation.join(this)
    this.#meter = new Meter(
      settings.runtime,
      settings.name,
      () => this.held,
      () => this.stalled,
    )
  }

  /** Why something is not done at the moment. */
  get fault(): string | undefined {
    const [refused] = this.#refused.values()
    return this.#fault ?? refused
  }

  set fault(fault: string | undefined) {
    this.#fault = fault
  }

  /** Messages in memory that are not settled for good. */
  get held(): number {
    let held = 0
    for (const { partition } of this.#slots.values()) held += partition.held
    return held
  }

  /** The same, of one partition. */
  heldOf(index: number): number {
    return this.#slots.get(index)?.partition.held ?? 0
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
   * @param part - the bucket of a shard map that it is worked on for
   */
  own(index: number, state: LedgerState, isClean: boolean, part?: OwnedPart): void {
    const { ledgerOf, holdOf, member } = this.#context
    const { window, hold, runtime, name, deadline, suspects, assignment } = this.#settings
    const slot = new Slot(index, this.#log, ledgerOf(index), state, this, {
      id: member(),
      hold: hold ? holdOf(index) : undefined,
      wary: isClean || !suspects ? 0 : window,
      runtime,
      subscription: name,
      deadline,
      tenure: part && new Tenure(`${assignment}/${index}`, part),
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
    slot.partition.rest()
    const isReleased = await slot.ledger.release(this.#context.freed(slot.index))
    timer.cancel()
    this.#remove(slot)
    if (!isReleased) this.#context.lost(slot.index)
  }

  /**
   * Gives partitions up at once.
   *
   * @param why - told to who has something in flight
   * @param index - only this one
   */
  abandon(why: string, index?: number): void {
    for (const slot of this.#slots.values()) {
      if (index !== undefined && slot.index !== index) continue
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

  /**
   * Does something for a key before its message comes.
   *
   * @returns keeps the partition from being given up until it has left; undefined if this process does not work on it
   */
  occupy(key: string): Occupation | undefined {
    const slot = this.#isPaused
      ? undefined
      : this.#slots.get(partitionOf(key, this.#context.partitions, this.#settings))
    return slot?.isOpen ? new Occupation(slot) : undefined
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
    this.#patience?.cancel()
    this.#isolation.leave(this)
    this.#meter.close()
  }

  awake(): void {
    this.#schedule()
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
    const isTaken = why === TAKEN_OVER
    const how = howLost(why)
    this.#settings.runtime.telemetry.log(
      isTaken ? 'warn' : 'error',
      `subscription ${this.#settings.name} does not work on partition ${slot.index} any more: ${how}`,
    )
    if (!isTaken) this.#refused.set(slot.index, `partition ${slot.index}: ${how}`)
    slot.drop(how)
    this.#remove(slot)
    this.#context.lost(slot.index)
  }

  async ended(slot: Slot, delivery: Delivery, verdict: Verdict): Promise<void> {
    const { entry } = delivery
    const took = this.#clock.now() - delivery.begun
    if (this.#settings.delivery === 'at-most-once') {
      slot.partition.free(entry)
      this.written()
      this.#meter.ended(verdict.is === 'handled' ? 'handled' : 'dropped', took)
      return
    }
    if (verdict.is === 'handled') {
      slot.partition.settle(entry)
      this.#meter.ended('handled', took)
    } else if (delivery.isAlone && verdict.is === 'failed' && verdict.isLate) {
      // It may have waited for what was not begun as it was alone.
      slot.partition.acquit(entry)
      slot.partition.putBack(entry)
      this.#meter.ended('released', took)
    } else if (verdict.is === 'released' && entry.releases < MOST_RELEASES) {
      slot.partition.putBack(entry)
      this.#meter.ended('released', took)
    } else {
      const isLast = verdict.is === 'rejected' || delivery.attempt >= this.#settings.attempts
      const delay = verdict.is === 'failed' ? verdict.delay : undefined
      const why = verdict.is === 'released' ? 'it was released again and again' : verdict.reason
      const reason = shortened(why)
      slot.partition.fail(entry, {
        reason,
        then: isLast ? this.#park : (delay ?? this.#backoff(delivery.attempt)),
      })
      if (isLast) this.#tellDead(entry, reason)
      this.#meter.ended(isLast ? 'dead-lettered' : 'failed', took)
    }
    if (await slot.ledger.write()) this.#refused.delete(slot.index)
    else throw ended(howLost(slot.ledger.fault), slot.ledger.fault)
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
    for (;;) {
      const taker = this.#isPaused ? undefined : this.#nextTaker()
      if (!taker) {
        if (this.#isolation.wants(this) && !isBusy(this.#alone)) this.#standBack()
        return
      }
      const delivery = this.#isolation.isWanted
        ? this.#nextAlone()
        : (this.#nextPrepared() ?? this.#nextDelivery())
      if (!delivery) return
      this.#takers.shift()
      delivery.begin()
      taker(delivery)
    }
  }

  /**
   * What was in flight when a process ended without a word is suspected of that, and tried alone: so it is known which one it
   * was, and no other one is ever given up for it. Those that are suspected least come first.
   */
  #nextAlone(): Delivery | undefined {
    if (!this.#isolation.hasTurn(this)) return undefined
    if (this.#alone?.delivery.hasEnded) this.#alone = undefined
    if (this.#alone) {
      const { delivery, isWritten } = this.#alone
      if (!isWritten) return undefined
      this.#patient(() => this.#noLongerAlone())
      return delivery
    }
    const suspect = this.#nextSuspect()
    if (!suspect) {
      this.#patience?.cancel()
      this.#isolation.yield(this)
      return undefined
    }
    const { slot, entry } = suspect
    const { partition } = slot
    const delivery = new Delivery(slot, entry, partition.attemptsOf(entry) + 1, true)
    const alone: Alone = { slot, delivery, isWritten: false }
    this.#alone = alone
    slot.deliveries.add(delivery)
    partition.mark(entry, true)
    this.#patient(() => this.#standBack())
    void slot.ledger.write().then(() => {
      alone.isWritten = true
      if (!slot.isOpen) this.#forget(slot, delivery)
      this.#schedule()
    })
    return undefined
  }

  /** Takes the message that is suspected least. */
  #nextSuspect(): { slot: Slot; entry: Entry } | undefined {
    let least: Ready | undefined
    for (let count = this.#ready.length; count > 0; count--) {
      const next = this.#ready.shift()!
      const crashes = this.#crashesOf(next)
      if (crashes === undefined || (least && crashes >= this.#crashesOf(least)!)) this.#ready.push(next)
      else {
        if (least) this.#ready.push(least)
        least = next
      }
    }
    const entry = least?.partition.take(least.lane)
    return least && entry && { slot: least.slot, entry }
  }

  /** How often a message was found guilty; undefined if it does not have to be tried alone. */
  #crashesOf({ slot, partition, lane }: Ready): number | undefined {
    const entry = slot.isOpen && slot.partition === partition ? partition.peek(lane) : undefined
    if (!entry || entry.isTriedAlong || partition.attemptsOf(entry) >= this.#settings.attempts)
      return undefined
    return partition.crashesOf(entry)
  }

  /** Nobody takes anything: others need not wait. */
  #standBack(): void {
    const alone = this.#alone
    this.#alone = undefined
    this.#patience?.cancel()
    if (alone && !alone.delivery.hasEnded) {
      const { slot, delivery } = alone
      this.#forget(slot, delivery)
      if (slot.isOpen) {
        slot.partition.putBack(delivery.entry)
        delivery.entry.releases--
        void slot.ledger.write()
      }
    }
    this.#isolation.yield(this)
  }

  #patient(then: () => void): void {
    this.#patience?.cancel()
    this.#patience = this.#clock.schedule(this.#clock.now() + this.#settings.deadline, then)
  }

  /** Whatever is being handled takes long: nothing is tried alone for now, and nothing that happens counts. */
  #tryAlong(): void {
    for (const { partition, lane } of this.#ready) {
      const entry = partition.peek(lane)
      if (entry && partition.crashesOf(entry) !== undefined) entry.isTriedAlong = true
    }
    this.#isolation.yield(this)
  }

  /** What is tried alone takes longer than usual, and has asked for that: others go on, and what happens counts no more. */
  #noLongerAlone(): void {
    const alone = this.#alone
    if (!alone || alone.delivery.hasEnded) return
    this.#alone = undefined
    alone.slot.partition.mark(alone.delivery.entry, false)
    void alone.slot.ledger.write().then(() => {
      if (!this.#alone) this.#isolation.yield(this)
    })
  }

  /** Nobody has begun with a delivery, and nobody will. */
  #forget(slot: Slot, delivery: Delivery): void {
    delivery.drop('nobody has begun with it')
    slot.left(delivery)
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
      if (this.#crashesOf(next) !== undefined) {
        this.#ready.push(next)
        this.#isolation.want(this)
        this.#patient(() => this.#tryAlong())
        this.#schedule()
        return undefined
      }
      const entry = slot.isOpen && slot.partition === partition ? partition.take(lane) : undefined
      if (!entry) continue
      const attempts = partition.attemptsOf(entry)
      if (entry.fault !== undefined || attempts >= this.#settings.attempts) {
        const crashes = partition.crashesOf(entry) ?? 0
        const reason = shortened(
          entry.fault ??
            `the process ended ${crashes === 1 ? 'once' : `${crashes} times`} while nothing but this message was handled`,
        )
        partition.fail(entry, { reason, then: this.#park, isTry: entry.fault !== undefined })
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
    else if (slot.wary > 0 || entry.isTriedAlong) {
      if (slot.wary > 0) slot.wary--
      slot.partition.mark(entry, false)
    } else return false
    return true
  }

  #isPrepared(slot: Slot, delivery: Delivery): void {
    this.#preparing--
    if (!slot.deliveries.has(delivery)) return
    // Whoever has the partition next delivers it.
    if (!slot.isOpen) this.#forget(slot, delivery)
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
      this.#forget(slot, delivery)
      return false
    })
    if (this.#alone?.slot === slot && this.#alone.isWritten && !this.#alone.delivery.hasBegun)
      this.#forget(slot, this.#alone.delivery)
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
    this.#schedule()
    if (this.#slots.size === 0) this.#stopFeeding()
    // What it held has made room.
    else this.written()
  }

  async #seek(slot: Slot): Promise<void> {
    const seek = ++slot.seeks
    slot.drop('an operator has moved the subscription to another place')
    await slot.drained()
    for (let pause = RETRY_FIRST_MS; this.#slots.get(slot.index) === slot; pause *= 2) {
      try {
        const state = await readLedger(this.#log, slot.ledger.stream, this.#context.from)
        // Somebody has sought again: that one reads what there is then.
        if (seek !== slot.seeks) return
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
      // What had been read before the end is no reason to forget why it came.
      if (!signal.aborted) this.fault = undefined
      if (truncated && !this.#settings.isShortened)
        this.#settings.runtime.telemetry.log(
          'error',
          `subscription ${this.#settings.name}: events before ${position} were truncated before they were handled`,
        )
      for (const event of events) {
        const route = routeOf(event, this.#settings)
        const index = route && partitionOf(route.key ?? event.id, this.#context.partitions, this.#settings)
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

function isBusy(alone: Alone | undefined): boolean {
  return alone !== undefined && alone.delivery.hasBegun && !alone.delivery.hasEnded
}

/** Why what became of a message was not written. */
function howLost(why: unknown): string {
  if (why === undefined) return 'it could not be written down any more'
  return why instanceof Error ? `it could not be written down: ${why.message}` : TAKEN_OVER
}
