import { randomUUID } from 'node:crypto'
import { duration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { LogDriver } from '../driver.js'
import { DriverLog, type LogOptions } from '../event-log.js'
import { eventError } from '../errors.js'
import type { EventLog, EventShape, Position, ReadOptions, Recorded, Selector } from '../log.js'
import { START } from '../position.js'
import { epochOf, isReplicated, type ReplicaState, type ReplicatedDriver } from '../replica.js'
import { remoteLog } from './remote-log.js'
import { Shipping, type FollowerStatus } from './shipping.js'
import type { Leader } from './source.js'
import { lackOf, tokenIn, type EpochToken, type Token } from './token.js'

/** Options of `followLog`. */
export interface FollowerOptions {
  /** Between application and log, as those of the leader; default none. */
  transforms?: LogOptions['transforms']
  /**
   * Whether what is at the place of the copy is a restored backup of the leader: how a follower starts anew after a gap. Such a
   * log takes appends, as the leader does, until it is made a follower. Default false.
   */
  fromBackup?: boolean
  /** How long the leader keeps a request open while there is nothing new; default 1 s. So old is what is known at most. */
  heartbeat?: Duration
  /** Events that are asked for at once, about; default 1000. */
  batch?: number
  /** Where reads go that the copy is not new enough for: to the leader, or nowhere; default `leader`. */
  fallback?: 'leader' | 'none'
  /** Bounds on what is appended once it was promoted; default those of `openLog`. */
  limits?: Omit<LogOptions, 'transforms' | 'runtime'>
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<FollowerOptions> = {
  transforms: {
    kind: 'list',
    of: { kind: 'code', type: 'object', doc: 'a transform' },
    doc: 'between application and log',
  },
  fromBackup: { kind: 'boolean', doc: 'whether the copy is a restored backup of the leader' },
  heartbeat: { kind: 'duration', min: 1, doc: 'how long a request is kept open while there is nothing new' },
  batch: { kind: 'number', min: 1, max: 10_000, integer: true, doc: 'events that are asked for at once' },
  fallback: {
    kind: 'choice',
    values: ['leader', 'none'],
    doc: 'where reads go that the copy is too old for',
  },
  limits: { kind: 'code', type: 'object', doc: 'bounds on what is appended once it was promoted' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** How new a read must be. */
export interface Freshness {
  /** At least as new as this. Default: whatever is there. */
  after?: Token
  /** At most so old, as far as the follower can tell; default any age. */
  maxStaleness?: Duration
  /** How long to wait for that; default 500 ms. */
  wait?: Duration
  /** Where to read if it is not so new then; default that of the follower. */
  fallback?: 'leader' | 'none'
  signal?: AbortSignal
}

const FRESHNESS: OptionTable<Freshness> = {
  after: {
    kind: 'either',
    of: [
      { kind: 'string', doc: '' },
      { kind: 'code', type: 'object', doc: '' },
    ],
    doc: 'at least as new as this',
  },
  maxStaleness: { kind: 'duration', doc: 'at most so old' },
  wait: { kind: 'duration', doc: 'how long to wait for that' },
  fallback: { kind: 'choice', values: ['leader', 'none'], doc: 'where to read if it is not so new' },
  signal: { kind: 'code', type: 'object', doc: 'ends it' },
}
const FRESHNESS_NAMES = Object.keys(FRESHNESS) as (keyof Freshness)[]
const WAIT: Duration = '500ms'

/** A copy of a log that follows its leader. Made by `followLog`. */
export interface Follower extends AsyncDisposable {
  /** The copy, as a log: reads, follows, tells where it is. Whatever changes it is refused with `BANYAN_READ_ONLY`. */
  readonly log: EventLog
  status(): FollowerStatus
  /**
   * Reads as `log.read` does, of a copy that is new enough; else of the leader.
   *
   * @throws `BANYAN_FOLLOWER_BEHIND` if it is not new enough in time, and the leader is not to be asked;
   *   `BANYAN_POSITION_AHEAD` for a token of what was lost in a fail-over; what `log.read` throws
   */
  read<Event extends EventShape = EventShape>(
    selector?: Selector,
    options?: ReadOptions & Freshness,
  ): AsyncIterable<Recorded<Event>>
  /**
   * The log to read from, for what is not an iteration: the copy as soon as it is new enough, else the leader's.
   *
   * @throws as {@link read}
   */
  fresh(options?: Freshness): Promise<Pick<EventLog, 'read' | 'head'>>
  /** What the copy has now. */
  token(): Required<EpochToken>
  /** How many reads were served here, and how many by the leader. */
  readonly reads: { readonly here: number; readonly leader: number }
  /** Stops following, and closes the copy. */
  close(): Promise<void>
}

export class LogFollower implements Follower {
  readonly log: EventLog
  readonly leader: Leader
  readonly runtime: Runtime
  /** Id of the epoch that begins if this is promoted. */
  readonly nextEpoch = randomUUID()
  readonly reads = { here: 0, leader: 0 }
  readonly #shipping: Shipping
  readonly #leader: EventLog
  readonly #fallback: 'leader' | 'none'

  /**
   * Makes a log a follower, and begins to follow.
   *
   * @throws `BANYAN_FOLLOWER_DIVERGED` if it is a leader with events
   */
  static async start(driver: LogDriver, leader: Leader, options: FollowerOptions): Promise<LogFollower> {
    checkOptions('followLog', OPTIONS, options)
    if (!isReplicated(driver))
      throw eventError(
        'BANYAN_UNSUPPORTED',
        `a ${driver.capabilities.driver} log is no follower of this kind; use the replication of its engine`,
      )
    return new LogFollower(driver, leader, await madeFollower(driver, leader, options), options)
  }

  private constructor(
    driver: ReplicatedDriver,
    leader: Leader,
    local: ReplicaState,
    {
      transforms = [],
      heartbeat = '1s',
      batch = 1000,
      fallback = 'leader',
      limits,
      runtime,
    }: FollowerOptions,
  ) {
    this.runtime = runtime ?? systemRuntime
    this.#fallback = fallback
    this.leader = leader
    this.log = new DriverLog(driver, { ...limits, transforms, runtime: this.runtime })
    this.#leader = remoteLog(leader, { transforms, runtime: this.runtime })
    const settings = { wait: duration(heartbeat, 'heartbeat'), batch }
    this.#shipping = new Shipping(driver, leader, local, this.runtime, settings)
  }

  status(): FollowerStatus {
    return this.#shipping.status()
  }

  token(): Required<EpochToken> {
    return tokenIn(this.#shipping.local)
  }

  async *read<Event extends EventShape = EventShape>(
    selector: Selector = {},
    options: ReadOptions & Freshness = {},
  ): AsyncGenerator<Recorded<Event>, void, undefined> {
    const [part, freshness] = split(options)
    const log = await this.fresh(freshness)
    yield* log.read<Event>(selector, {
      ...part,
      ...(freshness.signal && { signal: freshness.signal }),
    })
  }

  async fresh(options: Freshness = {}): Promise<EventLog> {
    checkOptions('a read of a follower', FRESHNESS, options)
    const { wait = WAIT, fallback = this.#fallback, signal } = options
    const { clock } = this.runtime
    const until = clock.now() + duration(wait, 'wait')
    for (;;) {
      signal?.throwIfAborted()
      const missing = this.#missing(options)
      if (missing === undefined) {
        this.reads.here++
        return this.log
      }
      const left = until - clock.now()
      const isStopped = this.status().state === 'stopped'
      if (left <= 0 || isStopped) {
        if (fallback === 'none') throw this.#behind(missing)
        await this.#checkLeader(options, signal)
        this.reads.leader++
        return this.#leader
      }
      await this.#shipping.moved(left, signal)
    }
  }

  /** What the copy was when it last changed. */
  state(): ReplicaState {
    return this.#shipping.local
  }

  /** See `Shipping.moved`. */
  moved(ms: number, signal?: AbortSignal): Promise<void> {
    return this.#shipping.moved(ms, signal)
  }

  /** Takes over nothing more. */
  stopFollowing(): Promise<void> {
    return this.#shipping.end()
  }

  async close(): Promise<void> {
    await this.#shipping.end()
    await this.#leader.close()
    await this.log.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** What the copy lacks to be new enough; undefined if nothing. */
  #missing({ after, maxStaleness }: Freshness): string | undefined {
    const lack = lackOf(this.#shipping.local, after)
    if (lack !== undefined || maxStaleness === undefined) return lack
    const { staleness } = this.status()
    const most = duration(maxStaleness, 'maxStaleness')
    if (staleness !== undefined && staleness <= most) return undefined
    return staleness === undefined
      ? 'has never had all of its leader'
      : `is known to be as its leader was ${Math.round(staleness)} ms ago, and not ${most}`
  }

  /** Whoever is asked in place of the copy may have been replaced itself, and then lacks what a token stands for. */
  async #checkLeader({ after }: Freshness, signal = new AbortController().signal): Promise<void> {
    const state = await this.leader.state(signal)
    if (state.role !== 'leader') throw this.#behind(`cannot ask its leader, which is ${state.role} by now`)
    const missing = lackOf(state, after)
    if (missing !== undefined) throw this.#behind(`cannot ask its leader, which ${missing}`)
  }

  #behind(missing: string): Error {
    const { state, problem } = this.status()
    return eventError(
      'BANYAN_FOLLOWER_BEHIND',
      `the follower of ${this.leader.name} ${missing}; it is ${state}` +
        (problem ? `: ${problem.message}` : '. Wait longer, or read from the leader'),
    )
  }
}

/**
 * @returns what the log is then
 * @throws `BANYAN_FOLLOWER_DIVERGED`; what the leader throws, if only it can tell
 */
async function madeFollower(
  driver: ReplicatedDriver,
  leader: Leader,
  { fromBackup = false }: FollowerOptions,
): Promise<ReplicaState> {
  const { replica } = driver
  const state = await replica.state()
  const { role, log, epochs, head } = state
  const epoch = epochOf(state)
  if (role === 'follower' && state.leader === leader.name) return state
  const made = { role: 'follower', log, epochs, leader: leader.name } as const
  if (role !== 'leader' || head === START) return replica.become(made, { role, epoch })
  const ask = (): Promise<ReplicaState> => leader.state(new AbortController().signal)
  const theirs = await ask()
  // An old leader that has not heard of its successor yet, or a copy of this one.
  const isCopy = theirs.log === log && (epochOf(theirs) > epoch || (fromBackup && epochOf(theirs) === epoch))
  if (!isCopy) throw isLeader(leader.name, head)
  const follower = await replica.become(made, { role, epoch })
  if ((await ask()).role !== 'follower') return follower
  // It is the leader itself.
  await replica.become({ role: 'leader' }, { role: 'follower', epoch })
  throw isLeader(leader.name, head)
}

function isLeader(leader: string, head: Position): Error {
  return eventError(
    'BANYAN_FOLLOWER_DIVERGED',
    `the log that is to follow ${leader} takes appends itself, and has events up to position ${head}; nothing was changed. Name another place; a restored backup of the leader is followed with fromBackup`,
  )
}

function split({ ...options }: ReadOptions & Freshness): [ReadOptions, Freshness] {
  const part: Record<string, unknown> = {}
  const freshness: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(options))
    ((FRESHNESS_NAMES as string[]).includes(name) ? freshness : part)[name] = value
  return [part, freshness]
}
