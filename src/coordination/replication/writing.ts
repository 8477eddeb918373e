import { sleep } from '../../core/clock.js'
import { coordinationError } from '../errors.js'
import type { Fleet } from './fleet.js'
import type { ReplicasMeter } from './meter.js'
import type { Monitor } from './monitor.js'
import { NodeFault, type Seen } from './node.js'
import type { Settings } from './options.js'
import { busy, Refusal } from './refusal.js'
import { tokenOf } from './token.js'

/** What came of a write. */
export interface ReplicaWriteResult<Result> {
  readonly result: Result
  /** A read `after` it sees what was written. */
  readonly token: string
  /** Who led. */
  readonly node: string
}

/** Before another try with a leader that takes no connection, in ms; doubled each time. */
const AGAIN_FIRST_MS = 20
const AGAIN_LAST_MS = 500

/** Writes to the leader. */
export class Writing<Db> {
  readonly #fleet: Fleet<Db>
  readonly #settings: Settings
  readonly #meter: ReplicasMeter
  /** Those that wait for a leader. */
  #waiting = 0

  constructor(fleet: Fleet<Db>, settings: Settings, meter: ReplicasMeter) {
    this.#meter = meter
    this.#fleet = fleet
    this.#settings = settings
  }

  async write<Result>(
    work: (db: Db) => Promise<Result>,
    until: number,
    signal: AbortSignal,
  ): Promise<ReplicaWriteResult<Result>> {
    const { clock } = this.#settings.runtime
    for (let pause = AGAIN_FIRST_MS; ; pause = Math.min(pause * 2, AGAIN_LAST_MS)) {
      const leader = await this.leader(until, signal)
      try {
        return await this.#writeTo(leader, work)
      } catch (error) {
        const isUnsent =
          error instanceof Refusal || (error instanceof NodeFault && error.outcome === 'unsent')
        if (isUnsent) {
          leader.doubt(error.message)
          if (clock.now() + pause >= until) throw this.#unknown(error)
          // One that answers when it is looked at, and takes no connection, is not asked without end.
          await sleep(clock, pause, signal)
          continue
        }
        throw error
      }
    }
  }

  /**
   * The leader, as soon as there is one.
   *
   * @throws `BANYAN_LEADER_UNKNOWN`
   */
  async leader(until: number, signal: AbortSignal): Promise<Monitor<Db>> {
    const present = this.#present()
    if (present) return present
    const { buffer } = this.#settings
    if (this.#waiting >= buffer) throw this.#unknown(undefined, `, and ${buffer} writes wait for one already`)
    this.#waiting++
    try {
      await this.#fleet.wait(() => this.#present() !== undefined, until, [], signal)
    } finally {
      this.#waiting--
    }
    const leader = this.#present()
    if (!leader) throw this.#unknown()
    return leader
  }

  #present(): Monitor<Db> | undefined {
    const { leader } = this.#fleet
    return leader && this.#fleet.closedTo(leader.name) === undefined ? leader : undefined
  }

  async #writeTo<Result>(
    leader: Monitor<Db>,
    work: (db: Db) => Promise<Result>,
  ): Promise<ReplicaWriteResult<Result>> {
    const { cluster, timeline } = this.#fleet.judgement
    const admit = (seen: Seen): void => {
      if (seen.role !== 'leader') throw new Refusal('it is a follower by now')
      if (seen.cluster !== cluster) throw new Refusal(`it is a server of cluster ${seen.cluster} by now`)
      if (seen.timeline !== timeline) throw new Refusal(`it leads timeline ${seen.timeline} by now`)
      if (seen.readOnly) throw new Refusal('it only reads by now')
      const forbidden = this.#fleet.forbidden(leader.name, timeline)
      if (forbidden !== undefined) throw new Refusal(forbidden)
    }
    // Its own timeline cannot change while the transaction lasts, but what is known of others can.
    const permit = (): void => {
      const forbidden = this.#fleet.forbidden(leader.name, timeline)
      if (forbidden !== undefined)
        throw coordinationError(
          'BANYAN_REPLICA_LOST',
          `nothing was committed on ${leader.name}: ${forbidden}. The transaction can be done again`,
        )
    }
    leader.inFlight++
    try {
      const { result, position } = await leader.node.write(admit, work, permit)
      const { timeline: newest } = this.#fleet.judgement
      // It may have been frozen before the commit, and have done it when it had been replaced.
      if (newest !== timeline && !this.#fleet.has({ cluster: cluster!, timeline, position }))
        throw coordinationError(
          'BANYAN_OUTCOME_UNKNOWN',
          `${leader.name} has committed on timeline ${timeline}, and timeline ${newest}, which has begun meanwhile, is not known to have that`,
        )
      this.#meter.committed(leader.name)
      return { result, token: tokenOf({ cluster: cluster!, timeline, position }), node: leader.name }
    } catch (error) {
      if (!(error instanceof NodeFault) || error.outcome === 'unsent') throw error
      if (error.outcome === 'busy') throw busy(error)
      leader.doubt(error.message)
      const place = `${leader.name} at ${leader.node.place}`
      throw error.outcome === 'undone'
        ? coordinationError(
            'BANYAN_REPLICA_LOST',
            `the leader ${place} was lost before the commit, nothing was done: ${error.message}`,
            error,
          )
        : coordinationError(
            'BANYAN_OUTCOME_UNKNOWN',
            `the leader ${place} was lost before it answered to the commit: ${error.message}`,
            error,
          )
    } finally {
      leader.inFlight--
    }
  }

  #unknown(cause?: unknown, more = ''): Error {
    const { name, problem = 'it was lost' } = this.#fleet.state
    return coordinationError('BANYAN_LEADER_UNKNOWN', `${name} has no leader: ${problem}${more}`, cause)
  }
}
