import { hostname } from 'node:os'
import { BanyanError } from '../../core/errors.js'
import type { HandlerRequest, HttpHandler } from '../../core/http-handler.js'
import type { Runtime } from '../../core/runtime.js'
import type { Telemetry } from '../../core/telemetry.js'
import type { Coordinator } from '../../coordination/index.js'
import type { LogDriver } from '../../events/driver.js'
import { DriverLog, type LogOptions } from '../../events/event-log.js'
import type { Copy, CopyFreshness } from '../../events/http/copy.js'
import {
  fenceLeader,
  followersOverHttp,
  followLog,
  leaderAt,
  promoteFollower,
  type EventLog,
  type Follower,
  type Leader,
  type Promotion,
  type PullRequest,
} from '../../events/index.js'
import { eventError } from '../../events/errors.js'
import { parsePosition } from '../../events/position.js'
import {
  epochOf,
  isReplicated,
  notLeader,
  type ReplicaState,
  type ReplicatedDriver,
} from '../../events/replica.js'
import { epochText, lackOf, type EpochToken } from '../../events/replication/token.js'
import type { Log } from '../log.js'
import {
  LOG_NAME,
  type HostedPromotion,
  type LogFollowerState,
  type LogReplicaState,
} from '../replicas/state.js'
import type { FollowSpec } from '../spec.js'
import { LogEpochs } from './log-epochs.js'

/** The field in which a copy says what it is called. */
const NAME_FIELD = 'banyan-follower'
/** How long the leader is asked at the start what it is, in ms. */
const ASK_MS = 2000
/** What is known for longer than this is asked for anew, in ms. */
const FRESH_MS = 1000
/** A copy that has not asked for so long is not told of any more, in ms. */
const FORGET_MS = 60_000
/** Copies that are told of at most. */
const MOST_FOLLOWERS = 100
/** How long a copy that cannot reach its leader keeps a node from being ready, in ms. */
const PATIENCE_MS = 15_000

/** What of a log is read over HTTP. */
type FreshLog = Awaited<ReturnType<Copy['fresh']>>

/** What a log is opened with. */
export interface ReplicaOptions {
  readonly log: Omit<LogOptions, 'runtime'>
  readonly runtime: Runtime
  readonly closing: AbortSignal
  /** Says once what people are to see. */
  readonly write: Log
  /** Where its gauges are. */
  readonly telemetry: Telemetry
}

/** The log of a node as one of several copies: whom it follows, who follows it, and how it becomes the leader. */
export class LogReplica implements Copy {
  readonly log: EventLog
  readonly #driver: ReplicatedDriver
  readonly #options: ReplicaOptions
  readonly #follower: Follower | undefined
  readonly #leader: Leader | undefined
  readonly #spec: FollowSpec | undefined
  readonly #openedAt: number
  readonly #fencing = new AbortController()
  readonly #hides: (() => void)[] = []
  readonly #followers = new Map<string, LogFollowerState & { readonly at: number }>()
  /** What answers followers. */
  readonly handler: HttpHandler
  #state: ReplicaState
  #askedAt = -Infinity
  #hasCaughtUp = false
  #whenPromoted: () => void = () => undefined
  #promoting: Promise<unknown> | undefined
  #epochs: LogEpochs | undefined

  private constructor(
    driver: ReplicatedDriver,
    state: ReplicaState,
    follow: { spec: FollowSpec; leader: Leader; follower: Follower | undefined } | undefined,
    options: ReplicaOptions,
  ) {
    const { closing, telemetry, runtime, log } = options
    this.#driver = driver
    this.#state = state
    this.#spec = follow?.spec
    this.#leader = follow?.leader
    this.#follower = follow?.follower
    this.#options = options
    this.#openedAt = runtime.clock.now()
    this.log = this.#follower?.log ?? new DriverLog(driver, { ...log, runtime })
    this.handler = followersOverHttp(this.log, {
      ...{ closing, runtime },
      onPull: (pull, request) => this.#note(pull, request),
    })
    this.#show(telemetry)
  }

  /**
   * Opens a log that can be followed, or is a copy.
   *
   * @returns undefined if it can be neither
   * @throws {@link BanyanError} if it cannot be what it is to be; the driver is closed then
   */
  static async open(
    driver: LogDriver,
    follow: string | FollowSpec | undefined,
    options: ReplicaOptions,
  ): Promise<LogReplica | undefined> {
    if (!isReplicated(driver)) return undefined
    const { runtime, write, log } = options
    const { transforms = [], ...limits } = log
    try {
      if (follow === undefined)
        return new LogReplica(driver, await driver.replica.state(), undefined, options)
      const spec = typeof follow === 'string' ? { leader: follow } : follow
      const leader = leaderOf(spec)
      const follower = (await isSuccessor(driver, leader))
        ? undefined
        : await followLog(leader, driver, {
            ...{ transforms, limits, runtime },
            ...(spec.fallback !== undefined && { fallback: spec.fallback }),
            ...(spec.heartbeat !== undefined && { heartbeat: spec.heartbeat }),
            ...(spec.fromBackup !== undefined && { fromBackup: spec.fromBackup }),
          })
      const state = await driver.replica.state()
      const replica = new LogReplica(driver, state, { spec, leader, follower }, options)
      if (follower) write('info', 'the event log follows its leader', { leader: leader.name })
      else replica.#succeed()
      return replica
    } catch (error) {
      await driver.close()
      throw error
    }
  }

  /** Calls `then` when it has become the leader; now if it leads. */
  whenLeading(then: () => void): void {
    if (this.#state.role === 'leader') then()
    else this.#whenPromoted = then
  }

  /** Heeds what a coordinator knows of the epochs of this log. Resolves when that was looked at once, or could not be. */
  agreeOn(coordinator: Coordinator): Promise<void> {
    const { runtime, write } = this.#options
    this.#epochs = new LogEpochs(this.#driver, coordinator, { runtime, write, signal: this.#fencing.signal })
    return this.#epochs.begun
  }

  isCopy(): boolean {
    return this.#follower !== undefined && this.#state.role === 'follower'
  }

  leader(): string | undefined {
    return this.isCopy() ? this.#spec!.leader : undefined
  }

  async fresh({ elsewhere, ...freshness }: CopyFreshness): Promise<FreshLog> {
    const follower = this.#follower!
    const { wait } = this.#spec!
    const found = await follower.fresh({
      ...freshness,
      ...(wait !== undefined && { wait }),
      ...(!elsewhere && { fallback: 'none' }),
    })
    const { log } = this
    if (found === log) {
      const { staleness } = follower.status()
      return { log, ...(staleness !== undefined && { age: staleness }) }
    }
    const there: FreshLog['log'] = {
      append: (commit) => log.append(commit),
      follow: (selector, options) => log.follow(selector, options),
      head: () => found.head(),
      read: (selector, options) => found.read(selector, options),
      // The leader is asked for pages only.
      async revision(stream) {
        for await (const { revision } of found.read({ stream }, { backwards: true, limit: 1 }))
          return revision
        return 'none'
      },
    }
    return { log: there, isElsewhere: true }
  }

  async check(token: EpochToken): Promise<void> {
    const state = await this.#look()
    const missing = lackOf(state, token)
    if (missing === undefined) return
    const { epoch, position } = token
    throw token.epoch > epochOf(state)
      ? eventError(
          'BANYAN_LOG_FENCED',
          `this log ${missing}: another took its place, which has not reached it yet. Ask the new leader`,
        )
      : eventError(
          'BANYAN_POSITION_AHEAD',
          `this log ${missing} of epoch ${epoch}: it has lost what was there, as one that was restored from a backup. What was done behind ${state.head} up to ${position} has to be done again`,
        )
  }

  async epoch(): Promise<string> {
    // What follows nobody begins no epoch by itself.
    const isKnown = !this.#follower && this.#options.runtime.clock.now() - this.#askedAt < FRESH_MS
    return epochText(isKnown ? this.#state : await this.#look())
  }

  /** Why it is to get no requests yet, as what it shows may be of long ago; undefined if it is. */
  get waiting(): string | undefined {
    if (!this.isCopy() || this.#hasCaughtUp) return undefined
    const { staleness, behind, state, problem } = this.#follower!.status()
    this.#hasCaughtUp = staleness !== undefined
    if (this.#hasCaughtUp) return undefined
    // Whoever has said so could be reached, and has the log.
    if (state === 'stopped') return `it has stopped: ${problem!.message}`
    if (state === 'following') return `it lacks ${behind} positions of its leader`
    // What there is, is better than nothing, and its age is told.
    const isOver = this.#options.runtime.clock.now() - this.#openedAt >= PATIENCE_MS
    return isOver ? undefined : 'it has not reached its leader yet'
  }

  /** What to see to, as of the last look. */
  get problem(): string | undefined {
    if (this.#options.runtime.clock.now() - this.#askedAt >= FRESH_MS)
      void this.#look().catch(() => undefined)
    if (this.#state.role === 'fenced') return notLeader(this.#state).message
    return this.isCopy() ? this.#follower!.status().problem?.message : undefined
  }

  async state(): Promise<LogReplicaState> {
    const { role, log, epochs, head, fencedBy } = await this.#look()
    const { problem } = this
    const about: LogReplicaState = {
      ...{ kind: 'log', name: LOG_NAME, role, log, epoch: epochOf({ epochs }), position: head },
      ...(fencedBy !== undefined && { fencedBy }),
      ...(problem !== undefined && { problem }),
      followers: this.#followersNow(),
    }
    if (!this.isCopy()) return about
    const follower = this.#follower!
    const { state, leader, behind, staleness, contact, writable, head: end } = follower.status()
    const following = {
      state,
      leader,
      head: end,
      behind,
      staleness,
      contact,
      writable,
      reads: { ...follower.reads },
    }
    return { ...about, following }
  }

  /**
   * Makes it the leader.
   *
   * @throws {@link BanyanError} `BANYAN_PROMOTION_REFUSED`
   */
  async promote(force: boolean): Promise<HostedPromotion> {
    if (this.#promoting) throw refused('somebody else is at it')
    const follower = this.#follower
    const state = await this.#look()
    const { role } = state
    if (!follower || role !== 'follower')
      throw refused(
        role === 'leader'
          ? 'it leads already'
          : `it is ${role}, and follows nobody: say whom with events.follow`,
      )
    const promoting = this.#begin(follower, state, force)
    this.#promoting = promoting.catch(() => undefined)
    try {
      const { kind, ...promotion } = await promoting
      // If the coordinator is away, it is told as soon as it is there again.
      await this.#epochs?.look().catch(() => undefined)
      const now = await this.#look()
      if (now.role !== 'leader') throw refused(`it gave way to another copy, which was promoted meanwhile`)
      this.#succeed()
      this.#whenPromoted()
      return { kind: 'log', how: kind, ...promotion }
    } finally {
      this.#promoting = undefined
      await this.#look().catch(() => undefined)
    }
  }

  async #begin(follower: Follower, state: ReplicaState, force: boolean): Promise<Promotion> {
    const objection = await this.#epochs?.objection(state)
    if (objection !== undefined) throw refused(objection)
    return promoteFollower(follower, { force })
  }

  /** Closes the log, too. */
  async close(): Promise<void> {
    this.#fencing.abort()
    for (const hide of this.#hides) hide()
    await (this.#follower ?? this.log).close()
  }

  async #look(): Promise<ReplicaState> {
    this.#askedAt = this.#options.runtime.clock.now()
    return (this.#state = await this.#driver.replica.state())
  }

  /** It leads in the place of whom it has followed, who is told so until it has heard. */
  #succeed(): void {
    const { write, runtime } = this.#options
    const { name } = this.#leader!
    const epoch = epochOf(this.#state)
    write('warn', 'the event log was promoted: it leads, whatever events.follow says', {
      epoch,
      before: name,
    })
    fenceLeader(this.#leader!, this.log, { signal: this.#fencing.signal, runtime }).then(
      () => write('info', 'the leader of before takes no appends any more', { before: name }),
      (error: unknown) => {
        if (!this.#fencing.signal.aborted)
          write('error', `the leader of before could not be told to take no appends: ${String(error)}`, {
            before: name,
          })
      },
    )
  }

  #note({ after, epochs }: PullRequest, request: HandlerRequest): void {
    const name = (request.field(NAME_FIELD) ?? request.caller ?? 'a follower').slice(0, 256)
    const at = this.#options.runtime.clock.now()
    this.#followers.delete(name)
    this.#followers.set(name, {
      name,
      position: after,
      epoch: epochs.at(-1)?.epoch ?? 0,
      behind: 0,
      contact: 0,
      at,
    })
    for (const [first] of this.#followers) {
      if (this.#followers.size <= MOST_FOLLOWERS) break
      this.#followers.delete(first)
    }
  }

  #followersNow(): LogFollowerState[] {
    const now = this.#options.runtime.clock.now()
    const head = parsePosition(this.#state.head)
    for (const [name, { at }] of this.#followers) if (now - at > FORGET_MS) this.#followers.delete(name)
    return Array.from(this.#followers.values(), ({ at, ...each }) => ({
      ...each,
      behind: Math.max(0, head - parsePosition(each.position)),
      contact: now - at,
    })).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  #show(telemetry: Telemetry): void {
    const gauge = (name: string, unit: string, description: string, read: () => number): void => {
      this.#hides.push(telemetry.gauge(`banyan.log.${name}`, { description, unit }, read))
    }
    gauge('epoch', '{epoch}', 'The epoch of the log, which rises with each promotion.', () =>
      epochOf(this.#state),
    )
    gauge('leads', '1', 'Whether the log takes appends.', () => (this.#state.role === 'leader' ? 1 : 0))
    gauge(
      'followers',
      '{follower}',
      'Copies of the log that have asked for what is new in the last minute.',
      () => this.#followersNow().length,
    )
    if (!this.#follower) return
    const status = () => (this.isCopy() ? this.#follower!.status() : undefined)
    gauge('behind', '{position}', 'Positions of its leader that a copy lacks.', () => status()?.behind ?? 0)
    gauge('staleness', 's', 'How old what a copy shows is at most; infinite if that is not known.', () => {
      const found = status()
      return found ? (found.staleness ?? Infinity) / 1000 : 0
    })
  }
}

/** The leader that a configuration names; an address without a path is that of an admin listener. */
function leaderOf({ leader, headers = {}, name = `${hostname()}:${process.pid}` }: FollowSpec): Leader {
  const url = new URL(leader)
  const path = url.pathname === '/' ? '/api/events' : url.pathname.replace(/\/+$/, '')
  return leaderAt(new URL(`${path}/replica`, url), { headers: { ...headers, [NAME_FIELD]: name } })
}

/**
 * Whether a log has taken the place of that leader before: it was promoted over it, and the leader has not been promoted since.
 * Unless the leader can be asked, that counts which was known last.
 */
async function isSuccessor({ replica }: ReplicatedDriver, leader: Leader): Promise<boolean> {
  const { role, leader: before, log, epochs } = await replica.state()
  if (role !== 'leader' || before !== leader.name) return false
  const theirs = await leader.state(AbortSignal.timeout(ASK_MS)).catch(() => undefined)
  return theirs?.log !== log || epochOf(theirs) <= epochOf({ epochs })
}

function refused(why: string): Error {
  return new BanyanError('BANYAN_PROMOTION_REFUSED', `the event log was not promoted: ${why}`)
}
