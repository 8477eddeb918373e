import type { Clock } from '../../core/clock.js'
import type { Page, Query } from '../driver.js'
import { engineOf } from '../engine.js'
import { eventError } from '../errors.js'
import { START } from '../position.js'
import type { EventLog } from '../log.js'
import {
  epochOf,
  isReplicated,
  notLeader,
  type Epoch,
  type ReplicaState,
  type ReplicatedDriver,
} from '../replica.js'
import { load, type Load } from './ship.js'
import type { GiveWayRequest, Leader, Pulled, PullRequest } from './source.js'

/** Events in one answer, at most. */
const MOST_EVENTS = 10_000
/** ms between looks for truncations, which wake nobody. */
const LOOK_MS = 1000

/**
 * The driver below a log that can be followed.
 *
 * @throws `BANYAN_UNSUPPORTED`
 */
export function replicatedEngineOf(log: EventLog): ReplicatedDriver {
  const engine = engineOf(log)
  if (engine && isReplicated(engine)) return engine
  throw eventError(
    'BANYAN_UNSUPPORTED',
    `the ${log.capabilities.driver} driver has no followers of this kind; PostgreSQL replicates by itself, and logs are followed as openLog gives them`,
  )
}

/** A log that answers followers in its own process. */
export function leaderOf(log: EventLog, clock: Clock, name = 'this process'): Leader {
  return new LocalLeader(replicatedEngineOf(log), clock, name)
}

class LocalLeader implements Leader {
  readonly name: string
  readonly #driver: ReplicatedDriver
  readonly #clock: Clock

  constructor(driver: ReplicatedDriver, clock: Clock, name: string) {
    this.#driver = driver
    this.#clock = clock
    this.name = name
  }

  state(): Promise<ReplicaState> {
    return this.#driver.replica.state()
  }

  read(query: Query): Promise<Page> {
    return this.#driver.read(query)
  }

  async giveWay({ log, epoch, to, id }: GiveWayRequest): Promise<ReplicaState> {
    const state = await this.state()
    if (state.log !== log) throw foreign(state, log)
    if (state.role !== 'leader' || epochOf(state) !== epoch || to <= epoch) return state
    return this.#driver.replica.become(
      { role: 'fenced', fencedBy: to, fencedFor: id },
      { role: 'leader', epoch },
    )
  }

  async pull(request: PullRequest, signal: AbortSignal): Promise<Pulled> {
    const state = await this.#checked(request)
    const until = this.#clock.now() + request.wait
    const limit = Math.min(request.limit, MOST_EVENTS)
    for (;;) {
      const loaded = await load(this.#driver, request.after, request.truncation, limit)
      const now = await this.state()
      const left = until - this.#clock.now()
      if (left <= 0 || signal.aborted || isNews(loaded, now, state, request)) return { state: now, ...loaded }
      await this.#change(loaded, Math.min(left, LOOK_MS), signal)
    }
  }

  async #change({ upTo }: Load, ms: number, signal: AbortSignal): Promise<void> {
    const enough = new AbortController()
    const timer = this.#clock.schedule(this.#clock.now() + ms, () => enough.abort())
    await this.#driver.changed(upTo, AbortSignal.any([signal, enough.signal]))
    timer.cancel()
  }

  /** Looks whether who asks is a follower of this log. */
  async #checked(request: PullRequest): Promise<ReplicaState> {
    const state = await this.state()
    if (state.role === 'follower') throw notFollowed(state)
    if (request.log !== undefined && request.log !== state.log) throw foreign(state, request.log)
    const theirs = request.epochs.at(-1)?.epoch ?? 0
    checkEpochs(request, state)
    if (theirs > epochOf(state))
      throw notLeader(
        await this.giveWay({
          log: state.log,
          epoch: epochOf(state),
          to: theirs,
          id: request.epochs.at(-1)!.id,
        }),
      )
    if (request.after > state.head)
      throw eventError(
        'BANYAN_FOLLOWER_AHEAD',
        `the follower is at position ${request.after}, and its leader ends at ${state.head}: the leader was restored from a backup, and has lost what is behind it. ` +
          'Promote the follower, or start it anew',
      )
    await this.#checkLast(request)
    return state
  }

  /** A leader that was restored, and went on since, has others in the place of the events that it lost. */
  async #checkLast({ after, last }: PullRequest): Promise<void> {
    if (!last || after === START) return
    const { events } = await this.#driver.read({ after: START, upTo: after, backwards: true, limit: 1 })
    const [event] = events
    if (event?.position !== after) return
    if (event.commit !== last.commit || event.checksum !== last.checksum) throw diverged(after)
  }
}

function isNews(loaded: Load, now: ReplicaState, before: ReplicaState, { after }: PullRequest): boolean {
  if (loaded.upTo !== after || loaded.truncations.length > 0) return true
  return now.role !== before.role || now.epochs.length !== before.epochs.length
}

/** The epochs of a follower are those of its leader, up to where one of them begins another. */
function checkEpochs({ epochs, after }: PullRequest, state: ReplicaState): void {
  const byNumber = new Map<number, Epoch>(state.epochs.map((each) => [each.epoch, each]))
  for (const { epoch, id } of epochs) {
    const own = byNumber.get(epoch)
    if (own && own.id !== id) throw diverged(own.after)
  }
  const theirs = epochs.at(-1)?.epoch ?? 0
  const next = theirs === 0 ? undefined : state.epochs.find(({ epoch }) => epoch > theirs)
  if (next && after > next.after) throw diverged(next.after)
}

function diverged(after: string): Error {
  return eventError(
    'BANYAN_FOLLOWER_DIVERGED',
    `behind position ${after} or before it, the follower has other events than its leader: both were written to. ` +
      'Keep what only the follower has (banyan events export), and start it anew',
  )
}

function foreign({ log }: ReplicaState, theirs: string): Error {
  return eventError(
    'BANYAN_FOLLOWER_FOREIGN',
    `the follower is a copy of the log ${theirs}, and this is ${log}: they have nothing in common`,
  )
}

function notFollowed({ leader }: ReplicaState): Error {
  return eventError(
    'BANYAN_UNSUPPORTED',
    `this log is a follower itself, of ${leader ?? 'another log'}; followers of followers are not supported. Follow the leader`,
  )
}
