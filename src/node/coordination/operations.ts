import type { Duration } from '../../core/duration.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import type { Leader } from '../../coordination/election/picture.js'
import { requestHandOver } from '../../coordination/election/request.js'
import { coordinationError } from '../../coordination/errors.js'
import { pauseJob, resumeJob, triggerJob } from '../../coordination/jobs/operate.js'
import type { Member } from '../../coordination/line/member.js'
import { forceUnlock } from '../../coordination/lock/read-locks.js'
import type { Instance } from '../../coordination/registry/instance.js'
import { requestDrain } from '../../coordination/registry/request-drain.js'
import { dataActionsOn, type DataActions } from './data-operations.js'
import { shardActionsOn, type ShardActions } from './shard-operations.js'
import { detailOf, hintOf } from './views.js'

/** What an operator can do to a job. */
export type JobAction = 'run' | 'pause' | 'resume'

/** What operators do, wherever the coordinator is. */
export interface CoordinationActions extends ShardActions, DataActions {
  /**
   * Asks who leads to hand over.
   *
   * @param options.to - the holder that shall lead; default who is next
   * @returns who was asked
   */
  handOver(name: string, options: { to?: string; by: string }): Promise<Leader>
  /**
   * Takes a lock away from who holds it.
   *
   * @param options.token - only from the holder with this token
   * @returns from whom it was taken
   */
  release(name: string, options: { token?: number }): Promise<readonly Member[]>
  changeJob(name: string, action: JobAction, options: { by: string }): Promise<void>
  /**
   * Asks an instance to leave the registry.
   *
   * @param options.for - how long it stays, marked as draining; default as it was registered
   * @returns who was asked
   */
  drain(service: string, id: string, options: { for?: Duration; by: string }): Promise<Instance>
}

/** What operators do, on a coordinator. */
export function actionsOn(coordinator: Coordinator): CoordinationActions {
  return {
    ...shardActionsOn(coordinator),
    ...dataActionsOn(coordinator),
    async handOver(name, { to, by }) {
      await detailOf('elections', name, coordinator)
      return requestHandOver(coordinator, name, { ...(to !== undefined && { to }), by })
    },
    async release(name, { token }) {
      const { holders } = await detailOf('locks', name, coordinator)
      const taken = await forceUnlock(coordinator, name, token === undefined ? {} : { token })
      if (taken.length > 0) return taken
      const others = holders.map((each) => `${each.holder} with token ${each.token}`).join(', ')
      throw coordinationError(
        'BANYAN_LOCK_UNKNOWN',
        `the lock ${JSON.stringify(name)} is not held${token === undefined ? ' any more' : ` with token ${token}; who holds it: ${others}`}`,
      )
    },
    async changeJob(name, action, { by }) {
      await detailOf('jobs', name, coordinator)
      if (action === 'run') await triggerJob(coordinator, name, { by })
      else if (action === 'pause') await pauseJob(coordinator, name, { by })
      else await resumeJob(coordinator, name)
    },
    async drain(service, id, { by, for: time }) {
      const { instances } = await detailOf('registry', service, coordinator)
      const ids = instances.map((each) => each.id)
      if (!ids.includes(id))
        throw coordinationError(
          'BANYAN_SERVICE_UNKNOWN',
          `there is no instance ${JSON.stringify(id)} of ${JSON.stringify(service)}${hintOf(id, ids, 'there is none')}`,
        )
      return requestDrain(coordinator, service, id, { by, ...(time !== undefined && { for: time }) })
    },
  }
}
