import type { Coordinator } from '../../coordination/coordinator.js'
import {
  drainWorker,
  mergeShard,
  moveShard,
  pauseShards,
  removeShards,
  resumeShards,
  splitShard,
  unpinShard,
} from '../../coordination/sharding/map/operate.js'
import {
  planShards,
  type ShardChanges,
  type ShardForecast,
} from '../../coordination/sharding/map/plan-shards.js'
import { detailOf } from './views.js'

/** What an operator wants of a shard map. */
export type ShardWish =
  | { readonly do: 'move'; readonly bucket: string; readonly to: string; readonly replace?: boolean }
  | { readonly do: 'split' | 'merge' | 'unpin'; readonly bucket: string }
  | { readonly do: 'pause' | 'resume' }
  | { readonly do: 'drain'; readonly worker: string; readonly undo?: boolean }

/** What operators do with shard maps of workers. */
export interface ShardActions {
  /** What would move, as things are or if workers came or went; nothing of it is done. */
  planShards(name: string, changes: ShardChanges): Promise<ShardForecast>
  /** Asks for something; the worker that plans does it. */
  steerShards(name: string, wish: ShardWish, options: { by: string }): Promise<void>
  /** Removes a map that nobody works for. */
  forgetShards(name: string): Promise<void>
}

/** What operators do with shard maps, on a coordinator. */
export function shardActionsOn(coordinator: Coordinator): ShardActions {
  return {
    async planShards(name, changes) {
      await detailOf('shards', name, coordinator)
      return planShards(coordinator, name, changes)
    },
    async steerShards(name, wish, { by }) {
      await detailOf('shards', name, coordinator)
      await steer(coordinator, name, wish, { by })
    },
    async forgetShards(name) {
      await detailOf('shards', name, coordinator)
      await removeShards(coordinator, name)
    },
  }
}

function steer(coordinator: Coordinator, name: string, wish: ShardWish, by: { by: string }): Promise<void> {
  switch (wish.do) {
    case 'move':
      return moveShard(coordinator, name, wish.bucket, wish.to, {
        ...by,
        ...(wish.replace !== undefined && { replace: wish.replace }),
      })
    case 'split':
      return splitShard(coordinator, name, wish.bucket, by)
    case 'merge':
      return mergeShard(coordinator, name, wish.bucket, by)
    case 'unpin':
      return unpinShard(coordinator, name, wish.bucket, by)
    case 'pause':
      return pauseShards(coordinator, name, by)
    case 'resume':
      return resumeShards(coordinator, name, by)
    case 'drain':
      return drainWorker(coordinator, name, wish.worker, {
        ...by,
        ...(wish.undo !== undefined && { undo: wish.undo }),
      })
  }
}
