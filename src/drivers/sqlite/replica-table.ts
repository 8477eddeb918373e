import type { Database } from 'better-sqlite3'
import { randomUUID } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { eventError } from '../../events/errors.js'
import { START } from '../../events/position.js'
import type { ReplicaState } from '../../events/replica.js'

/** What is kept of it; the rest stands in other tables. */
export type KeptState = Pick<ReplicaState, 'log' | 'role' | 'epochs' | 'leader' | 'fencedBy' | 'fencedFor'>

/** Of a log that is nobody's copy. */
export function newReplicaState(): KeptState {
  return {
    log: randomUUID(),
    role: 'leader',
    epochs: [{ epoch: 1, after: START, id: randomUUID() }],
  }
}

/** @throws `BANYAN_LOG_CORRUPT` if it is not what was written */
export function readReplica(db: Database, file: string): KeptState {
  const row = db.prepare<[], { state: string; checksum: number }>('SELECT state, checksum FROM replica').get()
  const { state = '', checksum } = row ?? {}
  if (crc32(state) === checksum) return JSON.parse(state) as KeptState
  throw eventError(
    'BANYAN_LOG_CORRUPT',
    `${file} is damaged: whose copy it is, is not what was written. Restore a backup`,
  )
}

export function writeReplica(
  db: Database,
  { log, role, epochs, leader, fencedBy, fencedFor }: KeptState,
): void {
  const state = JSON.stringify({ log, role, epochs, leader, fencedBy, fencedFor })
  db.prepare(
    'INSERT INTO replica VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET state = excluded.state, checksum = excluded.checksum',
  ).run(state, crc32(state))
}
