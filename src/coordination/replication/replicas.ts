import { duration } from '../../core/duration.js'
import type { Unsubscribe } from '../../core/observers.js'
import { BanyanError } from '../../core/errors.js'
import { coordinationError } from '../errors.js'
import { Belief } from './belief.js'
import { Fleet } from './fleet.js'
import { showReplicas } from './gauges.js'
import { ReplicasMeter } from './meter.js'
import type { Monitor } from './monitor.js'
import type { Look, ReplicaNode } from './node.js'
import {
  checkReadOptions,
  checkWriteOptions,
  type ReplicaReadOptions,
  type ReplicaWriteOptions,
  type Settings,
} from './options.js'
import { Reading, type ReplicaReadResult } from './reading.js'
import type { ReplicasState } from './state.js'
import { tokenOf } from './token.js'
import { Writing, type ReplicaWriteResult } from './writing.js'

/**
 * A database with one leader and any number of followers that copy it: writes go to the leader, reads to followers that are as
 * fresh as they have to be.
 *
 * - **A token is never answered with less than it stands for.** A read `after` the token of a write sees it, on whichever server; or
 *   fails. After a promotion that has lost the write it fails with `BANYAN_TOKEN_LOST`.
 * - **No write goes to an older timeline than this router knows of.** That is looked at on the connection of the transaction before
 *   anything is done, and what the router knows once more right before the commit.
 * - **How old a read is at most** is measured on this router's monotonic clock, from positions that it has seen the leader have; it
 *   takes no clocks of servers, and nothing needs to be written for it.
 *
 * Who is promoted, and when, is decided by others: an operator with `promoteReplica`, or software such as Patroni. It is seen and
 * followed.
 */
export interface Replicas<Db> extends AsyncDisposable {
  readonly name: string
  /** What this router sees; what JSON can hold. */
  readonly state: ReplicasState
  /** Observes changes of roles, health and problems. */
  on(event: 'change', listener: (state: ReplicasState) => void): Unsubscribe
  /**
   * Works in a transaction on the leader (read committed), and commits it. While there is no leader it waits, before it has begun.
   *
   * @param work - may run once only; throwing rolls back
   * @throws `BANYAN_LEADER_UNKNOWN`: nobody leads, or two do; nothing was done. `BANYAN_REPLICA_LOST`: the leader was lost, or leads
   *   no more, before the commit; nothing was done. `BANYAN_REPLICAS_BUSY`: all connections to it are in use for `answerWithin`;
   *   nothing was done. `BANYAN_OUTCOME_UNKNOWN`: it was lost before it answered to the commit;
   *   `BANYAN_REPLICAS_CLOSED`; and what `work` throws
   */
  write<Result>(
    work: (db: Db) => Promise<Result> | Result,
    options?: ReplicaWriteOptions,
  ): Promise<ReplicaWriteResult<Result>>
  /**
   * Works in a transaction that only reads (read committed).
   *
   * @param work - runs once; throwing ends it
   * @throws `BANYAN_FOLLOWER_BEHIND`: no server is fresh enough. `BANYAN_TOKEN_LOST`: a promotion has lost what the token stands
   *   for, or nobody can tell that it has not. `BANYAN_TOKEN_FOREIGN`: it is of another cluster. `BANYAN_INVALID_TOKEN`,
   *   `BANYAN_LEADER_UNKNOWN`, `BANYAN_REPLICA_LOST`, `BANYAN_REPLICAS_BUSY`, `BANYAN_REPLICAS_CLOSED`; and what `work` throws
   */
  read<Result>(
    work: (db: Db) => Promise<Result> | Result,
    options?: ReplicaReadOptions,
  ): Promise<ReplicaReadResult<Result>>
  /**
   * The token of all that was committed up to now, by whomever.
   *
   * @throws `BANYAN_LEADER_UNKNOWN`
   */
  token(): Promise<string>
  /**
   * Ends it. Transactions that are under way are waited for, and given up on servers that do not answer for `answerWithin`: these
   * reject with `BANYAN_REPLICA_LOST` or `BANYAN_OUTCOME_UNKNOWN`.
   */
  close(): Promise<void>
}

/** What operators need of a router. */
interface Inside {
  readonly fleet: Fleet<unknown>
  readonly settings: Settings
}

const insides = new WeakMap<object, Inside>()

/**
 * What is inside a router that `openReplicas` has opened.
 *
 * @throws `BANYAN_INVALID_OPTIONS` for anything else
 */
export function insideOf(replicas: Replicas<unknown>): Inside {
  const inside = insides.get(replicas)
  if (!inside)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'replicas must be what openReplicas has opened')
  return inside
}

/** Routes to nodes. */
export class Router<Db> implements Replicas<Db> {
  readonly name: string
  readonly #fleet: Fleet<Db>
  readonly #settings: Settings
  readonly #reading: Reading<Db>
  readonly #writing: Writing<Db>
  readonly #meter: ReplicasMeter
  readonly #hide: () => void
  readonly #belief: Belief<Db> | undefined
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #closing = new AbortController()
  #closed: Promise<void> | undefined

  constructor(nodes: ReadonlyMap<string, ReplicaNode<Db>>, settings: Settings) {
    this.name = settings.name
    this.#settings = settings
    this.#fleet = new Fleet(nodes, settings)
    const { runtime, name } = settings
    this.#meter = new ReplicasMeter(runtime, name)
    this.#hide = showReplicas(runtime.telemetry, name, [...nodes.keys()], () => this.#fleet.state)
    this.#reading = new Reading(this.#fleet, settings, this.#meter)
    this.#writing = new Writing(this.#fleet, settings, this.#meter)
    insides.set(this, { fleet: this.#fleet as unknown as Fleet<unknown>, settings })
    if (settings.coordinator) this.#belief = new Belief(settings.coordinator, this.#fleet, settings)
    this.#fleet.start()
  }

  get state(): ReplicasState {
    return this.#fleet.state
  }

  on(_event: 'change', listener: (state: ReplicasState) => void): Unsubscribe {
    return this.#fleet.on(listener)
  }

  async write<Result>(
    work: (db: Db) => Promise<Result> | Result,
    options: ReplicaWriteOptions = {},
  ): Promise<ReplicaWriteResult<Result>> {
    checkWriteOptions(options)
    const { failover = this.#settings.failover } = options
    return this.#track('write', () =>
      this.#writing.write(
        async (db) => work(db),
        this.#settings.runtime.clock.now() + duration(failover),
        this.#signal(options.signal),
      ),
    )
  }

  async read<Result>(
    work: (db: Db) => Promise<Result> | Result,
    options: ReplicaReadOptions = {},
  ): Promise<ReplicaReadResult<Result>> {
    checkReadOptions(options)
    return this.#track('read', () =>
      this.#reading.read(async (db) => work(db), { ...options, signal: this.#signal(options.signal) }),
    )
  }

  token(): Promise<string> {
    return this.#track('read', async () => {
      const until = this.#settings.runtime.clock.now() + this.#settings.failover
      const leader = await this.#writing.leader(until, this.#closing.signal)
      // The last look may be from before.
      const { role, cluster, timeline, position } = await this.#look(leader)
      if (role !== 'leader' || timeline === undefined || this.#fleet.forbidden(leader.name, timeline))
        throw coordinationError('BANYAN_LEADER_UNKNOWN', `${leader.name} does not lead any more`)
      return tokenOf({ cluster, timeline, position })
    })
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#closing.abort(coordinationError('BANYAN_REPLICAS_CLOSED', 'the replicas were closed'))
    this.#fleet.beClosing()
    await Promise.allSettled(this.#underWay)
    this.#hide()
    this.#belief?.close()
    this.#fleet.close()
    await Promise.all([...this.#fleet.monitors.values()].map(({ node }) => node.close()))
  }

  async #look(leader: Monitor<Db>): Promise<Look> {
    try {
      return await leader.node.look()
    } catch (error) {
      const { message } = error as Error
      leader.doubt(message)
      throw coordinationError('BANYAN_LEADER_UNKNOWN', `${leader.name} cannot be asked: ${message}`, error)
    }
  }

  #signal(signal: AbortSignal | undefined): AbortSignal {
    return signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal
  }

  async #track<Result>(mode: 'read' | 'write', work: () => Promise<Result>): Promise<Result> {
    this.#closing.signal.throwIfAborted()
    const working = work()
    this.#underWay.add(working)
    try {
      return await working
    } catch (error) {
      this.#meter.failed(mode, error)
      throw error
    } finally {
      this.#underWay.delete(working)
    }
  }
}
