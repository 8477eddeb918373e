import { sleep, type Clock, type Timer } from '../../../core/clock.js'
import { BanyanError } from '../../../core/errors.js'
import { eventError, isPassing } from '../../errors.js'
import type { EventLog, Position } from '../../log.js'
import { firstPartOf, type OwnedPart } from '../../owned-part.js'
import { newOwner, ownerLeft } from '../../owner.js'
import { Engine } from '../engine/engine.js'
import { TAKEN_OVER } from '../ledger/ledger.js'
import type { Settings } from '../options.js'
import { admitted, arrival, differs } from './admission.js'
import { Claims } from './claims.js'
import { readGroup, type Found } from './create.js'
import { groupStream, holdName, ledgerStream } from './names.js'
import type { GroupEvent, GroupState } from './state.js'
import { Parts } from './parts.js'
import { Suspicion } from './suspicion.js'
import { difference, termsOf } from './terms.js'

const RETRY_MS = 1000
/** How often everything is written anew, for what it keeps from being removed from the log. */
const KEEP_MS = 3_600_000

/**
 * This process's share in a subscription. All members see the same comings and goings in the stream of the group, and
 * come to the same result about who works on which partition; what the ledger of a partition says decides who owns it.
 *
 * Nobody writes to say that they are alive. Who has a reason to doubt it asks, and whoever does not answer in time is
 * taken to be gone; should it only have been slow, its next step in a ledger fails, and it joins anew.
 */
export class Group {
  readonly engine: Engine
  readonly #log: EventLog
  readonly #settings: Settings
  readonly #clock: Clock
  readonly #closing = new AbortController()
  readonly #ended = new AbortController()
  readonly #claims: Claims
  readonly #suspicion: Suspicion
  /** Undefined: members share the partitions evenly. */
  readonly #parts: Parts | undefined
  #state: GroupState
  #position: Position
  #member: string
  #watching: Promise<void> | undefined
  #releasing: Promise<void> | undefined
  #evicting: Timer | undefined
  #leaving: Promise<void> | undefined
  #keptAt: number

  private constructor(log: EventLog, settings: Settings, { state, position }: Found, member: string) {
    this.#log = log
    this.#settings = settings
    this.#clock = settings.runtime.clock
    this.#state = state
    this.#position = position
    this.#member = member
    this.#keptAt = this.#clock.now()
    const { name } = settings
    this.engine = new Engine(log, settings, {
      member: () => this.#member,
      partitions: state.partitions.length,
      from: state.from,
      ledgerOf: (partition) => ledgerStream(name, partition),
      holdOf: (partition) => holdName(name, partition),
      freed: (partition) => ({
        stream: groupStream(name),
        events: [{ type: 'Freed', data: { partition } }],
      }),
      lost: (partition) => {
        this.#claims.doubt(partition)
        this.#later(() => this.#reconcile())
      },
    })
    this.#claims = new Claims(log, settings, this.engine, {
      state: () => this.#state,
      member: () => this.#member,
      isClosing: () => this.#closing.signal.aborted,
      again: () => this.#later(() => this.#reconcile()),
      isMine: (partition) => this.#isMine(partition),
      partOf: (partition) => this.#parts?.get(partition),
      isWaitedFor: (owner) => !this.#parts && this.#state.members.includes(owner),
      tookFrom: (owner) => {
        if (!this.#state.members.includes(owner)) return
        this.#ask([owner]).catch((error: unknown) => this.#warn(error))
      },
      warn: (error) => this.#warn(error),
    })
    if (settings.assignment !== undefined)
      this.#parts = new Parts({
        owner: `subscription ${name}`,
        partitions: state.partitions.length,
        closing: this.#closing.signal,
        begin: (partition) => void this.#claims.claim(partition),
        lost: (partition) => this.engine.abandon('its bucket of the shard map was lost', partition),
        giveBack: (partition) => this.#giveBack(partition),
      })
    this.#suspicion = new Suspicion(log, settings, (members) => this.#ask(members))
  }

  /**
   * Takes part in a subscription; creates it if there is none of that name.
   *
   * @param instead - this process's share as it was, which is closed then; it may have other settings
   * @throws `BANYAN_SUBSCRIPTION_MISMATCH`
   */
  static async join(log: EventLog, settings: Settings, instead?: Group): Promise<Group> {
    const member = newOwner(settings.runtime.random)
    try {
      const found = await admitted(log, settings, member, instead && instead.#member)
      const group = new Group(log, settings, found, member)
      group.engine.pause(found.state.isPaused)
      group.#watching = group.#watch()
      return group
    } catch (error) {
      ownerLeft(member)
      throw error
    }
  }

  get state(): GroupState {
    return this.#state
  }

  /** Aborts when the subscription was deleted, with the error that says so. */
  get ended(): AbortSignal {
    return this.#ended.signal
  }

  /**
   * Works on the partition of a bucket until that is given up or lost.
   *
   * @throws what has ended the subscription
   */
  async own(part: OwnedPart): Promise<void> {
    if (!this.#parts)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `those who take part in subscription ${this.#settings.name} share its partitions evenly; with assignment, the name of a shard map, they are given them`,
      )
    await this.#parts.own(part)
    this.ended.throwIfAborted()
  }

  /** Messages of a bucket that are in memory and not settled. */
  load(bucket: string | number): number {
    const partition = firstPartOf(bucket)
    return partition === undefined ? 0 : this.engine.heldOf(partition)
  }

  close(): Promise<void> {
    return (this.#leaving ??= this.#leave())
  }

  async #leave(): Promise<void> {
    this.#stop()
    await this.#claims.ended()
    await this.engine.close()
    if (!this.ended.aborted)
      await this.#append([{ type: 'Left', data: { member: this.#member } }]).catch(() => undefined)
    ownerLeft(this.#member)
    await this.#watching
    await this.#releasing
  }

  /** Begins nothing more. */
  #stop(): void {
    this.#closing.abort()
    this.#evicting?.cancel()
    this.#suspicion.close()
  }

  /** There is nothing to take part in any more. */
  #end(error: Error, how: string, level: 'warn' | 'error' = 'error'): void {
    const { name, runtime } = this.#settings
    if (!this.#closing.signal.aborted)
      runtime.telemetry.log(level, `subscription ${name} has ended: ${error.message}`)
    this.#stop()
    this.engine.fault = error.message
    this.engine.abandon(how)
    this.#ended.abort(error)
  }

  #wasDeleted(partitions: number): void {
    const { name } = this.#settings
    const error = eventError(
      'BANYAN_SUBSCRIPTION_DELETED',
      `subscription ${name} was deleted by an operator: nothing is delivered any more, and what is in flight does not count. Subscribe again for a new one of this name`,
    )
    this.#releasing = this.#releaseHolds(partitions).catch((failure: unknown) => this.#warn(failure))
    this.#end(error, 'an operator has deleted the subscription')
  }

  /** Claims that were under way when it was deleted may have kept the log from being truncated once more. */
  async #releaseHolds(partitions: number): Promise<void> {
    const { name } = this.#settings
    await this.#claims.ended()
    if ((await readGroup(this.#log, name)).state.isCreated) return
    await this.#log.release(holdName(name))
    for (let partition = 0; partition < partitions; partition++)
      await this.#log.release(holdName(name, partition))
  }

  async #watch(): Promise<void> {
    const stream = groupStream(this.#settings.name)
    const { signal } = this.#closing
    while (!signal.aborted) {
      try {
        const options = { from: this.#position, signal }
        for await (const { events, position } of this.#log.follow<GroupEvent>({ stream }, options)) {
          // What was done to the ledgers before it counts before it.
          for (const event of events) {
            await this.#apply(event)
            if (this.ended.aborted) return
          }
          this.#position = position
          await this.#reconcile()
        }
      } catch (error) {
        if (this.#closing.signal.aborted) return
        if (error instanceof BanyanError && error.code === 'BANYAN_LOG_CLOSED') {
          this.#end(error, 'the log was closed', 'warn')
          return
        }
        this.engine.fault = String(error)
        this.#warn(error)
        await sleep(this.#clock, RETRY_MS, signal).catch(() => undefined)
      }
    }
  }

  async #apply(event: GroupEvent & { revision: number }): Promise<void> {
    if (event.revision <= Number(this.#state.revision)) return
    const { partitions } = this.#state
    this.#state.apply(event)
    if (event.type === 'Told')
      await Promise.all(event.data.partitions.map((partition) => this.engine.look(partition)))
    if (event.type === 'Paused' || event.type === 'Resumed') this.engine.pause(this.#state.isPaused)
    if (event.type === 'Deleted') this.#wasDeleted(partitions.length)
  }

  /** Makes what this process does what the state of the group says it should. */
  async #reconcile(): Promise<void> {
    const { members, asked } = this.#state
    if (this.#closing.signal.aborted) return
    if (!members.includes(this.#member)) {
      if (members.length > 0 || this.engine.partitions.length > 0) await this.#joinAnew()
      return
    }
    if (asked.has(this.#member)) await this.#append([{ type: 'Answered', data: { member: this.#member } }])
    const owned = this.engine.partitions
    for (const partition of owned) if (!this.#isMine(partition)) void this.engine.release(partition)
    for (const partition of this.#mine) if (!owned.includes(partition)) void this.#claims.claim(partition)
    for (const partition of this.#claims.doubtful)
      if (!this.#isMine(partition)) void this.#claims.claim(partition)
    // Who has been given a partition by a shard map is looked after there.
    if (!this.#parts) this.#suspicion.watch(this.#state, this.#member)
    this.#evictLater()
    if (this.#clock.now() - this.#keptAt > KEEP_MS) await this.#keep()
  }

  /** The partitions that this process is to work on. */
  get #mine(): readonly number[] {
    if (this.#parts) return this.#parts.partitions
    return [...this.#state.partitions.keys()].filter((partition) => this.#isMine(partition))
  }

  #isMine(partition: number): boolean {
    return this.#parts ? this.#parts.has(partition) : this.#state.partitions[partition] === this.#member
  }

  /** Resolves when nothing of a partition is in flight, and its ledger says so if it can be written. */
  async #giveBack(partition: number): Promise<void> {
    await this.#claims.ended()
    await this.engine.release(partition)
    if ([...this.#claims.doubtful].includes(partition)) await this.#claims.claim(partition)
  }

  async #joinAnew(): Promise<void> {
    const { terms, revision, members } = this.#state
    this.engine.abandon(TAKEN_OVER)
    this.#claims.forget()
    ownerLeft(this.#member)
    const what = terms && difference(terms, termsOf(this.#settings))
    if (what !== undefined) {
      this.#end(differs(this.#settings.name, members, what), TAKEN_OVER)
      return
    }
    this.#member = newOwner(this.#settings.runtime.random)
    // If others were faster, it is looked at again with what they have written.
    await this.#append(arrival(this.#state, this.#member), revision)
  }

  /** Asks others whether they are there. */
  async #ask(members: readonly string[]): Promise<void> {
    const unasked = members.filter((member) => !this.#state.asked.has(member))
    if (unasked.length > 0)
      await this.#append([{ type: 'Asked', data: { members: unasked, by: this.#member } }])
  }

  /** Whoever has been asked and does not answer in time is taken to be gone. */
  #evictLater(): void {
    const asked = new Map([...this.#state.asked].filter(([member]) => member !== this.#member))
    if (asked.size === 0 || this.#evicting) return
    const { takeover } = this.#settings
    this.#evicting = this.#clock.schedule(this.#clock.now() + takeover, () => {
      this.#evicting = undefined
      const silent = [...asked].filter(([member, at]) => this.#state.asked.get(member) === at)
      void this.#evict(silent.map(([member]) => member)).then(() => this.#evictLater())
    })
  }

  async #evict(members: readonly string[]): Promise<void> {
    if (members.length === 0 || this.#closing.signal.aborted) return
    this.#settings.runtime.telemetry.log(
      'warn',
      `subscription ${this.#settings.name}: ${members.join(', ')} did not answer, and is taken to be gone`,
    )
    await this.#append(
      members.map((member) => ({ type: 'Left', data: { member, by: this.#member } })),
      this.#state.revision,
    ).catch((error: unknown) => this.#warn(error))
  }

  async #keep(): Promise<void> {
    this.#keptAt = this.#clock.now()
    const { name, hold } = this.#settings
    const { revision } = this.#state
    if (hold) await this.#log.hold(holdName(name), await this.#log.head())
    const isKept = await this.#append([{ type: 'Kept', data: this.#state.kept() }], revision)
    if (isKept && typeof revision === 'number')
      await this.#log.truncate({ stream: groupStream(name), beforeRevision: revision + 1 })
  }

  /** @returns whether it was appended: not if others have written meanwhile */
  async #append(events: readonly GroupEvent[], expected: number | 'none' | 'any' = 'any'): Promise<boolean> {
    const { ok } = await this.#log.append({
      streams: [{ stream: groupStream(this.#settings.name), expected, events }],
    })
    return ok
  }

  #later(work: () => Promise<void>): void {
    sleep(this.#clock, RETRY_MS, this.#closing.signal)
      .then(work)
      .catch((error: unknown) => this.#warn(error))
  }

  #warn(error: unknown): void {
    if (this.#closing.signal.aborted) return
    const level = isPassing(error) ? 'warn' : 'error'
    this.#settings.runtime.telemetry.log(level, `subscription ${this.#settings.name}: ${String(error)}`)
  }
}
