import type { ReplicaNode } from '../coordination/replication/node.js'
import { loadDriver } from './open-log.js'
import type { PostgresPool, PostgresTables } from './postgres/read-models/client.js'
import type { ReplicaSettings } from './postgres/replication/node.js'

/**
 * Opens a server of a replicated database; its module, and the package it needs, is loaded only then.
 *
 * @param where - `postgres://...`, or a `Pool` of pg
 * @throws `BANYAN_DRIVER_MISSING`, `BANYAN_INVALID_OPTIONS`
 */
export function openReplicaNode(
  where: string | PostgresPool,
  settings: ReplicaSettings,
): Promise<ReplicaNode<PostgresTables>> {
  return loadDriver('postgres', async () =>
    (await import('./postgres/replication/node.js')).openPostgresReplica(where, settings),
  )
}
