import { randomUUID } from 'node:crypto'
import { backoffWait } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { eventError } from '../errors.js'
import type { EventLog, Position } from '../log.js'
import { START } from '../position.js'
import { epochOf, type ReplicaState } from '../replica.js'
import { LogFollower, type Follower } from './follower.js'
import { replicatedEngineOf } from './leader.js'
import { LeaderKeys } from './leader-keys.js'
import type { FollowerStatus } from './shipping.js'
import type { Leader } from './source.js'
import { tokenIn, type EpochToken } from './token.js'

/** Options of {@link promoteFollower}. */
export interface PromoteOptions {
  /**
   * Whether to go on if the leader cannot be reached, or cannot hand over: what it has acknowledged and not shipped is lost
   * then. Default false.
   */
  force?: boolean
  /** How long the leader, the catching up, and the lease of a leader that is gone are waited for; default 30 s. */
  wait?: Duration
  /** Where leaders hold a lease (`leadLog`): then no two of them take appends at the same time. Default none. */
  coordinator?: Coordinator
  signal?: AbortSignal
}

const OPTIONS: OptionTable<PromoteOptions> = {
  force: { kind: 'boolean', doc: 'whether to go on without the leader' },
  wait: { kind: 'duration', doc: 'how long is waited' },
  coordinator: { kind: 'code', type: 'object', doc: 'where leaders hold a lease' },
  signal: { kind: 'code', type: 'object', doc: 'ends it' },
}

/** What stops a follower whose place in the history others have taken: another epoch of the same number would begin. */
const OTHERS = new Set(['BANYAN_FOLLOWER_FOREIGN', 'BANYAN_FOLLOWER_DIVERGED', 'BANYAN_LOG_FENCED'])

/** What {@link promoteFollower} did. */
export interface Promotion {
  /** `planned`: the leader has handed over, nothing is lost. `emergency`: without it. */
  readonly kind: 'planned' | 'emergency'
  readonly epoch: number
  /** Everything up to here is there; what the old leader has behind it is lost. */
  readonly position: Position
  /** In an emergency, what was known of the old leader. */
  readonly left?: {
    /** Where it ended when it was last heard of; undefined if it never was. */
    readonly head: Position | undefined
    /** Positions that are known to be lost; it may have acknowledged more since it was heard of. */
    readonly atLeast: number
    /** ms since it was heard of; undefined if it never was. */
    readonly contact: number | undefined
  }
}

/**
 * Makes a follower the leader: its log takes appends from then on, in a new epoch.
 *
 * The leader is asked to give way first. If it does, the follower takes over what is left, and nothing is lost. If it cannot be
 * reached, nothing is done, unless `force` says so.
 *
 * Without a coordinator, an old leader that nobody can reach goes on taking appends, which are lost: end its process, or make
 * sure that no client reaches it. It refuses appends, durably, as soon as a follower of the new epoch or {@link fenceLeader}
 * reaches it.
 *
 * @throws `BANYAN_PROMOTION_REFUSED` with what would be lost, or what was not done in time
 */
export async function promoteFollower(follower: Follower, options: PromoteOptions = {}): Promise<Promotion> {
  checkOptions('promoteFollower', OPTIONS, options)
  if (!(follower instanceof LogFollower)) throw new TypeError('promoteFollower takes what followLog has made')
  return new Promoting(follower, options).run()
}

class Promoting {
  readonly #follower: LogFollower
  readonly #runtime: Runtime
  readonly #leader: Leader
  readonly #options: PromoteOptions
  readonly #until: number

  constructor(follower: LogFollower, options: PromoteOptions) {
    this.#follower = follower
    this.#runtime = follower.runtime
    this.#leader = follower.leader
    this.#options = options
    this.#until = this.#runtime.clock.now() + duration(options.wait ?? '30s', 'wait')
  }

  async run(): Promise<Promotion> {
    const { coordinator } = this.#options
    await this.#hearOfLeader()
    const before = this.#follower.state()
    if (before.role !== 'follower') throw refusedPromotion('it is no follower any more')
    const keys = coordinator && new LeaderKeys(coordinator, before.log)
    const to = Math.max(epochOf(before), (await keys?.epoch())?.epoch ?? 0) + 1
    const handedOver = await this.#handOver(to)
    const held = await keys?.take({
      epoch: to,
      name: 'a promotion',
      within: this.#until - this.#runtime.clock.now(),
      signal: this.#options.signal,
    })
    try {
      return await this.#open(to, handedOver)
    } finally {
      await held?.release()
    }
  }

  /** Until then it is not known which log it is a copy of, if it is new. */
  async #hearOfLeader(): Promise<void> {
    const { clock } = this.#runtime
    for (;;) {
      const { state, problem } = this.#follower.status()
      if (state !== 'starting') return
      const left = this.#until - clock.now()
      const isBlank = this.#follower.state().head === START
      if (!isBlank && (problem || left <= 0)) return
      if (left <= 0) throw refusedPromotion('it has nothing, and cannot reach its leader')
      await this.#follower.moved(left, this.#options.signal)
      this.#options.signal?.throwIfAborted()
    }
  }

  /** @returns whether the leader has handed everything over */
  async #handOver(to: number): Promise<boolean> {
    const { force = false } = this.#options
    const { state, problem } = this.#follower.status()
    if (state === 'stopped' && OTHERS.has(problem!.code))
      throw refusedPromotion(`${problem!.message}. That cannot be forced`)
    // A leader that gives way to nobody is worse than one that is not asked.
    if (state === 'stopped' && !force) throw refusedPromotion(`it has stopped: ${problem!.message}`)
    try {
      const { log, epochs } = this.#follower.state()
      const given = await this.#within((signal) =>
        this.#leader.giveWay({ log, epoch: epochOf({ epochs }), to, id: this.#follower.nextEpoch }, signal),
      )
      if (given.role === 'leader')
        throw refusedPromotion(
          `the leader is in epoch ${epochOf(given)}, of which the follower knows nothing`,
        )
      if (given.fencedFor !== this.#follower.nextEpoch) throw gaveWayToAnother(given)
      await this.#catchUp(given)
      return true
    } catch (error) {
      this.#options.signal?.throwIfAborted()
      if (!(error instanceof BanyanError)) throw error
      if (error.code === 'BANYAN_LOG_FENCED') throw refusedPromotion(error.message, error)
      if (!force) throw refusedPromotion(`${error.message}. ${told(this.#follower.status())}`, error)
      return false
    }
  }

  async #catchUp({ head, truncation }: ReplicaState): Promise<void> {
    const has = (): boolean => {
      const local = this.#follower.state()
      return local.head >= head && local.truncation >= truncation
    }
    while (!has()) {
      const left = this.#until - this.#runtime.clock.now()
      const { state, position, problem } = this.#follower.status()
      if (left <= 0 || state === 'stopped')
        throw eventError(
          'BANYAN_FOLLOWER_BEHIND',
          `the leader has given way at position ${head}, and the follower is at ${position}` +
            (problem ? `: ${problem.message}` : ''),
        )
      await this.#follower.moved(left, this.#options.signal)
      this.#options.signal?.throwIfAborted()
    }
  }

  async #open(to: number, handedOver: boolean): Promise<Promotion> {
    // What comes later would be of an epoch that is over.
    await this.#follower.stopFollowing()
    const status = this.#follower.status()
    const { replica } = replicatedEngineOf(this.#follower.log)
    const before = await replica.state()
    const { epochs, head } = before
    const next = { epoch: to, after: head, id: this.#follower.nextEpoch }
    const state = await replica.become(
      { role: 'leader', epochs: [...epochs, next], leader: this.#leader.name },
      { role: 'follower', epoch: epochOf(before) },
    )
    if (state.role !== 'leader' || epochOf(state) !== to)
      throw refusedPromotion('another process has changed what the log is meanwhile')
    if (handedOver) return { kind: 'planned', epoch: to, position: head }
    const { contact, behind } = status
    const left = { head: contact === undefined ? undefined : status.head, atLeast: behind, contact }
    return { kind: 'emergency', epoch: to, position: head, left }
  }

  async #within<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const late = new AbortController()
    const timer = this.#runtime.clock.schedule(this.#until, () =>
      late.abort(eventError('BANYAN_LOG_UNAVAILABLE', `${this.#leader.name} does not answer`)),
    )
    const { signal } = this.#options
    try {
      return await ask(signal ? AbortSignal.any([signal, late.signal]) : late.signal)
    } finally {
      timer.cancel()
    }
  }
}

function refusedPromotion(why: string, cause?: unknown): Error {
  return eventError('BANYAN_PROMOTION_REFUSED', `the follower was not promoted: ${why}`, cause)
}

function gaveWayToAnother({ fencedBy = 0 }: ReplicaState): Error {
  return eventError(
    'BANYAN_LOG_FENCED',
    `its leader has given way already, for epoch ${fencedBy}: to another follower, or to this one before it was started again. Follow that; if nothing was promoted, make it the leader again first (reinstateLeader). That cannot be forced`,
  )
}

function told({ contact, behind, head, position }: FollowerStatus): string {
  if (contact === undefined)
    return 'The leader was never heard of since the follower was started, so it is not known how much would be lost. To go on, force it'
  return (
    `When the leader was last heard of, ${Math.round(contact)} ms ago, it ended at ${head}, and the follower is at ${position}: ` +
    `at least ${behind} positions would be lost, and what was acknowledged since then. To go on, force it`
  )
}

/** Between tries to reach an old leader, in ms: what it takes until it is told is lost. */
const FENCE_RETRY = { base: 100, factor: 2, max: 500 }

/** Options of {@link fenceLeader}. */
export interface FenceOptions {
  signal?: AbortSignal
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

/**
 * Tells an old leader that another log took its place, again and again until it has heard: it takes no appends any more, durably.
 *
 * @param leader - as it was followed
 * @param successor - the log that is the leader now
 * @throws the reason of the signal; `BANYAN_FOLLOWER_FOREIGN` if they are not copies of one log
 */
export async function fenceLeader(
  leader: Leader,
  successor: EventLog,
  { signal = new AbortController().signal, runtime = systemRuntime }: FenceOptions = {},
): Promise<void> {
  const { replica } = replicatedEngineOf(successor)
  for (let failures = 0; ;) {
    signal.throwIfAborted()
    const { log, epochs } = await replica.state()
    const { epoch: to, id } = epochs.at(-1)!
    try {
      const { epochs: theirs, role } = await leader.state(signal)
      if (role !== 'leader' || epochOf({ epochs: theirs }) >= to) return
      await leader.giveWay({ log, epoch: epochOf({ epochs: theirs }), to, id }, signal)
      return
    } catch (error) {
      if (!(error instanceof BanyanError) || error.code !== 'BANYAN_LOG_UNAVAILABLE') throw error
    }
    const wait = backoffWait(FENCE_RETRY, ++failures, 'equal', runtime.random)
    await sleep(runtime.clock, wait, signal)
  }
}

/**
 * Makes a log that has given way the leader again, in a new epoch: for an operator who has begun to hand over and will not go on.
 * Nothing else may have been promoted meanwhile; a follower that was finds out, and stops as diverged.
 *
 * @throws `BANYAN_PROMOTION_REFUSED` if the log is not fenced
 */
export async function reinstateLeader(log: EventLog): Promise<{ readonly epoch: number }> {
  const { replica } = replicatedEngineOf(log)
  const before = await replica.state()
  if (before.role !== 'fenced') throw refusedPromotion(`the log is ${before.role}, and not fenced`)
  const epoch = Math.max(epochOf(before), before.fencedBy ?? 0) + 1
  const epochs = [...before.epochs, { epoch, after: before.head, id: randomUUID() }]
  await replica.become({ role: 'leader', epochs }, { role: 'fenced', epoch: epochOf(before) })
  return { epoch }
}

/** A token of what a log has now, which also a fail-over does not make good for something else. */
export async function tokenOf(log: EventLog, position?: Position): Promise<Required<EpochToken>> {
  return tokenIn(await replicatedEngineOf(log).replica.state(), position)
}
