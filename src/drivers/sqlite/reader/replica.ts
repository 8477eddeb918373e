import { formatPosition } from '../../../events/position.js'
import type { KnownOutcome, ReplicaState, StreamTruncation } from '../../../events/replica.js'
import { readReplica } from '../replica-table.js'
import type { Reader } from './reader.js'
import { readHolds } from './state.js'

/** See `Replica.state`. */
export function readReplicaState(reader: Reader): ReplicaState {
  return reader.transaction(() => ({
    ...readReplica(reader.db, reader.file),
    head: formatPosition(reader.log().head),
    truncation: reader.value<number | null>('SELECT max(number) FROM truncations') ?? 0,
    holds: readHolds(reader),
  }))
}

/** See `Replica.outcomes`. */
export function readOutcomes(reader: Reader, ids: readonly string[]): KnownOutcome[] {
  return reader
    .rows<{ id: string; digest: number; position: number; revisions: string }>(
      `SELECT id, digest, position, revisions FROM truncated_commits
       WHERE id IN (SELECT value FROM json_each(?))`,
      JSON.stringify(ids),
    )
    .map(({ position, revisions, ...known }) => ({
      ...known,
      position: formatPosition(position),
      revisions: JSON.parse(revisions) as number[],
    }))
}

/** See `Replica.truncations`. */
export function readTruncations(reader: Reader, after: number, limit: number): StreamTruncation[] {
  return reader.transaction(() => {
    const rows = reader.rows<{ stream: number; number: number; forget: number }>(
      'SELECT stream, number, forget FROM truncations WHERE number > ? ORDER BY number LIMIT ?',
      after,
      limit,
    )
    return rows.map(({ stream: id, number, forget }) => {
      const { name, category, first } = reader.streams.get(id)
      return {
        number,
        stream: name,
        category: reader.categories.get(category).name,
        firstRevision: first,
        forget: forget === 1,
      }
    })
  })
}
