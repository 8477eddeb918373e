import { duration } from '../../core/duration.js'
import { coordinationError } from '../errors.js'
import type { Fleet } from './fleet.js'
import type { ReplicasMeter, Why } from './meter.js'
import type { Monitor } from './monitor.js'
import { NodeFault, type Seen } from './node.js'
import type { ReplicaReadOptions, Settings } from './options.js'
import { busy, Refusal } from './refusal.js'
import { placeOf, showPosition, tokenOf, type Place } from './token.js'

/** What came of a read. */
export interface ReplicaReadResult<Result> {
  readonly result: Result
  /** Who has served it. */
  readonly node: string
  readonly role: 'leader' | 'follower'
  /** Everything up to here was seen, as PostgreSQL writes it. */
  readonly position: string
  /** How old what was seen is, at most, in ms; 0 on the leader. Undefined: older than the router has looked. */
  readonly staleness?: number
  /** A read `after` it sees at least the same. Undefined on a server that does not tell its timeline. */
  readonly token?: string
}

/** What a read asks of a follower. */
interface Demand {
  readonly after: Place | undefined
  /** ms */
  readonly maxStaleness: number | undefined
}

/** Reads from who is fresh enough. */
export class Reading<Db> {
  readonly #fleet: Fleet<Db>
  readonly #settings: Settings
  readonly #meter: ReplicasMeter
  /** Of equals another one each time. */
  #turn = 0

  constructor(fleet: Fleet<Db>, settings: Settings, meter: ReplicasMeter) {
    this.#meter = meter
    this.#fleet = fleet
    this.#settings = settings
  }

  async read<Result>(
    work: (db: Db) => Promise<Result>,
    options: ReplicaReadOptions & { signal: AbortSignal },
  ): Promise<ReplicaReadResult<Result>> {
    const { fallback = 'leader', prefer = 'follower', signal } = options
    const demand: Demand = {
      after: options.after === undefined ? undefined : placeOf(options.after),
      maxStaleness: options.maxStaleness === undefined ? undefined : duration(options.maxStaleness),
    }
    const { clock } = this.#settings.runtime
    const until = clock.now() + duration(options.wait ?? this.#settings.wait)
    await this.#known(signal)
    await this.#hear(demand, until, signal)
    const reader = new Attempts<Db, Result>(work)
    if (prefer === 'leader') {
      const served = await this.#readFromLeader(reader, demand)
      if (served) return this.#count(served, 'preferred')
    }
    let asked: number | undefined
    for (;;) {
      this.#check(demand)
      const served = await this.#readFromBest(reader, demand)
      if (served) return this.#count(served, asked === undefined ? 'fresh' : 'waited', asked)
      if (reader.busy) break
      const { followers, leader } = this.#here()
      // Waiting is for those that are behind. Where there is nobody to wait for, the leader can be asked at once.
      if (followers.length === 0 && leader && fallback === 'leader') break
      asked ??= clock.now()
      const isThere = (): boolean => this.#best(reader, demand) !== undefined
      if (!(await this.#fleet.wait(isThere, until, followers, signal))) break
    }
    this.#check(demand)
    if (fallback === 'refuse') throw reader.busy ?? this.#behind(demand)
    const served = await this.#readFromLeader(reader, demand)
    if (served) return this.#count(served, asked === undefined ? 'alone' : 'behind', asked)
    if (reader.busy) throw reader.busy
    const { problem = 'it was lost' } = this.#fleet.state
    throw coordinationError(
      'BANYAN_LEADER_UNKNOWN',
      `no follower is fresh enough, and ${this.#settings.name} has no leader to read from: ${problem}`,
    )
  }

  /** @param asked - since when a follower was waited for */
  #count<Result>(served: ReplicaReadResult<Result>, why: Why, asked?: number): ReplicaReadResult<Result> {
    this.#meter.served(served.node, why)
    if (asked !== undefined) this.#meter.waited(this.#settings.runtime.clock.now() - asked)
    return served
  }

  /** Nothing can be said of a token before each server was tried. */
  async #known(signal: AbortSignal): Promise<void> {
    if (this.#fleet.isComplete) return
    const { clock, answerWithin } = { ...this.#settings, ...this.#settings.runtime }
    await this.#fleet.wait(() => this.#fleet.isComplete, clock.now() + 2 * answerWithin, [], signal)
  }

  /** A token may know of a promotion that this router has not seen yet. */
  async #hear({ after }: Demand, until: number, signal: AbortSignal): Promise<void> {
    if (!after) return
    const isKnown = (): boolean =>
      this.#fleet.judgement.cluster !== after.cluster || this.#fleet.judgement.timeline >= after.timeline
    await this.#fleet.wait(isKnown, until, [...this.#fleet.monitors.values()], signal)
  }

  #here() {
    return { followers: this.#fleet.followers(), leader: this.#fleet.leader }
  }

  /** @throws if no server will ever have what a token stands for */
  #check({ after }: Demand): void {
    if (!after) return
    const { cluster, timeline } = this.#fleet.judgement
    if (cluster !== undefined && after.cluster !== cluster)
      throw coordinationError(
        'BANYAN_TOKEN_FOREIGN',
        `the token is of cluster ${after.cluster}, and this is ${cluster}`,
      )
    if (after.timeline <= timeline && !this.#fleet.has(after)) throw this.#lost(after)
  }

  #lost(after: Place): Error {
    const { timeline } = this.#fleet.judgement
    const shared = this.#fleet.timelines.shared(timeline, after.timeline)
    const fork = this.#fleet.timelines.forkOf(after.timeline)
    const what = `what the token stands for was written on timeline ${after.timeline} at ${showPosition(after.position)}`
    return coordinationError(
      'BANYAN_TOKEN_LOST',
      fork
        ? `${what}; ${fork.join(' and ')} have both led that timeline, apart from each other, and nobody can tell which of them has it`
        : shared === undefined
          ? `${what}; nobody tells whether timeline ${timeline}, which leads, has it`
          : `${what}, and timeline ${timeline}, which leads, has of that what is up to ${showPosition(shared)}: it was lost when the leader changed`,
    )
  }

  /** Who is fresh enough, by the last look, with the fewest transactions under way. */
  #best<Result>(reader: Attempts<Db, Result>, demand: Demand): Monitor<Db> | undefined {
    let best: Monitor<Db> | undefined
    const followers = this.#fleet.followers()
    this.#turn = (this.#turn + 1) % Math.max(1, followers.length)
    for (let index = 0; index < followers.length; index++) {
      const follower = followers[(index + this.#turn) % followers.length]!
      if (best && follower.inFlight >= best.inFlight) continue
      if (reader.mayTry(follower) && this.#isFresh(follower, demand)) best = follower
    }
    return best
  }

  #isFresh({ look }: Monitor<Db>, demand: Demand): boolean {
    if (!look) return false
    const timeline = look.limited === undefined ? look.timeline : undefined
    return this.#lack({ ...look, timeline }, demand) === undefined
  }

  /** What is wrong with a follower for a read; undefined if nothing is. */
  #lack({ timeline, position }: Seen, { after, maxStaleness }: Demand): string | undefined {
    if (after) {
      const { timeline: newest } = this.#fleet.judgement
      if (timeline === undefined) return 'it does not tell which timeline it follows'
      if (after.timeline > newest || timeline > newest) return 'another timeline has begun'
      if (!this.#fleet.has(after)) return 'the token is lost'
      if (position < after.position) return 'it has not come to the token yet'
    }
    const isStale = maxStaleness !== undefined && this.#fleet.staleness(position) > maxStaleness
    return isStale ? 'it is too far behind' : undefined
  }

  async #readFromBest<Result>(
    reader: Attempts<Db, Result>,
    demand: Demand,
  ): Promise<ReplicaReadResult<Result> | undefined> {
    for (;;) {
      const follower = this.#best(reader, demand)
      if (!follower) return undefined
      const admit = (seen: Seen): void => {
        const { cluster } = this.#fleet.judgement
        if (seen.role !== 'follower' || seen.cluster !== cluster)
          throw new Refusal('it is no follower by now')
        const { timeline, position } = seen
        if (timeline !== undefined && !this.#fleet.isOurs(timeline, position))
          throw new Refusal('it follows another timeline by now')
        const lack = this.#lack(seen, demand)
        if (lack !== undefined) throw new Refusal(lack)
      }
      const served = await this.#serve(follower, reader, admit)
      if (served) return served
    }
  }

  async #readFromLeader<Result>(
    reader: Attempts<Db, Result>,
    { after }: Demand,
  ): Promise<ReplicaReadResult<Result> | undefined> {
    const { leader } = this.#fleet
    if (!leader) return undefined
    this.#check({ after, maxStaleness: undefined })
    const { timeline: newest, cluster } = this.#fleet.judgement
    if (after && after.timeline > newest)
      throw coordinationError(
        'BANYAN_FOLLOWER_BEHIND',
        `the token is of timeline ${after.timeline}, and no server is known to have come beyond ${newest}`,
      )
    const admit = (seen: Seen): void => {
      if (seen.role !== 'leader' || seen.cluster !== cluster || seen.timeline !== newest)
        throw new Refusal('it leads no more')
      const forbidden = this.#fleet.forbidden(leader.name, newest)
      if (forbidden !== undefined) throw new Refusal(forbidden)
      if (after?.timeline === newest && seen.position < after.position)
        throw coordinationError(
          'BANYAN_TOKEN_LOST',
          `the token stands for ${showPosition(after.position)}, and the leader ${leader.name} is only at ${showPosition(seen.position)}: it has lost what it had, as after a restore`,
        )
    }
    return this.#serve(leader, reader, admit)
  }

  /** @returns undefined if nothing was begun there */
  async #serve<Result>(
    monitor: Monitor<Db>,
    reader: Attempts<Db, Result>,
    admit: (seen: Seen) => void,
  ): Promise<ReplicaReadResult<Result> | undefined> {
    let seen: Seen | undefined
    const see = (given: Seen): void => {
      admit(given)
      seen = given
    }
    monitor.inFlight++
    try {
      const result = await monitor.node.read(see, reader.work)
      return { result, ...this.#describe(monitor, seen!) }
    } catch (error) {
      if (error instanceof Refusal) {
        reader.failed(monitor)
        monitor.hasten()
        return undefined
      }
      if (!(error instanceof NodeFault)) throw error
      reader.failed(monitor)
      if (error.outcome === 'busy') {
        reader.busy = busy(error)
        return undefined
      }
      monitor.doubt(error.message)
      if (error.outcome === 'unsent') return undefined
      throw coordinationError(
        'BANYAN_REPLICA_LOST',
        `${monitor.name} at ${monitor.node.place} was lost while it was read from: ${error.message}`,
        error,
      )
    } finally {
      monitor.inFlight--
    }
  }

  #describe({ name }: Monitor<Db>, { role, cluster, timeline, position }: Seen) {
    const staleness = role === 'leader' ? 0 : this.#fleet.staleness(position)
    return {
      node: name,
      role,
      position: showPosition(position),
      ...(staleness !== Infinity && { staleness }),
      ...(timeline !== undefined && { token: tokenOf({ cluster, timeline, position }) }),
    }
  }

  #behind({ after, maxStaleness }: Demand): Error {
    const wanted = [
      after && `have come to ${showPosition(after.position)} of timeline ${after.timeline}`,
      maxStaleness !== undefined && `are at most ${maxStaleness} ms behind`,
    ].filter(Boolean)
    const each = this.#fleet.state.nodes
      .filter(({ role }) => role !== 'leader')
      .map(({ node, replayed, problem }) => `${node} ${problem ?? `is at ${replayed}`}`)
    return coordinationError(
      'BANYAN_FOLLOWER_BEHIND',
      `no follower of ${this.#settings.name} is found to ${wanted.join(' and ') || 'be fit'}: ${each.join('; ') || 'there is none'}`,
    )
  }
}

/** One piece of work, and with whom it was tried. */
class Attempts<Db, Result> {
  readonly work: (db: Db) => Promise<Result>
  /** What to say if nobody serves it, as all connections to somebody who could are in use. */
  busy: Error | undefined
  /** How often each was looked at when it refused: until it was looked at again it would do the same. */
  readonly #refused = new Map<Monitor<Db>, number>()

  constructor(work: (db: Db) => Promise<Result>) {
    this.work = work
  }

  failed(monitor: Monitor<Db>): void {
    this.#refused.set(monitor, monitor.looks)
  }

  mayTry(monitor: Monitor<Db>): boolean {
    return this.#refused.get(monitor) !== monitor.looks
  }
}
