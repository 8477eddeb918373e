import type { Database } from 'better-sqlite3'
import { isDeepStrictEqual } from 'node:util'
import { eventError } from '../../../events/errors.js'
import { categoryOf } from '../../../events/names.js'
import { parsePosition } from '../../../events/position.js'
import type { Shipment, StreamTruncation } from '../../../events/replica.js'
import { streamNames } from '../names.js'
import { writeReplica } from '../replica-table.js'
import { sealRow, streamRow } from '../rows.js'
import type { Appending } from './append.js'
import type { Indexing } from './indexing.js'
import { truncateCopy } from './truncate.js'

/** What works on a connection. */
export interface Parts {
  readonly db: Database
  readonly appending: Appending
  readonly indexing: Indexing
}

/**
 * Takes over a shipment, in a transaction that is open.
 *
 * @returns false if the log does not end where it begins
 */
export function applyShipment(parts: Parts, file: string, shipment: Shipment): boolean {
  const { db, appending } = parts
  const kept = appending.replica()
  if (kept.role !== 'follower')
    throw eventError('BANYAN_UNSUPPORTED', `${file} is no follower; nothing was done`)
  if (appending.head !== parsePosition(shipment.after)) return false
  for (const commit of shipment.commits) {
    // Where revisions are missing, all before them have been removed.
    const streams = new Set<string>()
    for (const { stream, revision } of commit.events) {
      if (streams.has(stream)) continue
      streams.add(stream)
      if (revision > appending.nextRevision(stream))
        cut(parts, file, { stream, category: categoryOf(stream), firstRevision: revision, forget: true })
    }
    appending.place(commit)
  }
  appending.endAt(parsePosition(shipment.upTo))
  for (const truncation of shipment.truncations) {
    cut(parts, file, truncation)
    db.prepare(
      `INSERT INTO truncations SELECT id, ?, ? FROM streams WHERE name = ?
       ON CONFLICT (stream) DO UPDATE SET number = excluded.number, forget = excluded.forget`,
    ).run(truncation.number, truncation.forget ? 1 : 0, truncation.stream)
  }
  replaceHolds(db, shipment.holds)
  if (!isDeepStrictEqual(kept.epochs, shipment.epochs)) {
    writeReplica(db, { ...kept, epochs: shipment.epochs })
    appending.forget()
  }
  return true
}

/** Removes what a stream has below a revision; it goes on there at the earliest. */
function cut(
  { db, appending, indexing }: Parts,
  file: string,
  { stream, category, firstRevision, forget }: Omit<StreamTruncation, 'number'>,
): void {
  const streams = streamNames(db, file)
  if ((streams.find(stream)?.first ?? -1) >= firstRevision) return
  appending.addStream(stream, category)
  appending.endAt(appending.head)
  indexing.run(appending.tail())
  appending.forget()
  while (!truncateCopy(db, file, { stream, beforeRevision: firstRevision, forget }));
  const row = streams.find(stream)!
  db.prepare('UPDATE streams SET last = @last, first = @first, checksum = @checksum WHERE id = @id').run(
    sealRow(streamRow, { ...row, first: firstRevision, last: Math.max(row.last, firstRevision - 1) }),
  )
  // What is remembered is read again.
  appending.replica()
}

function replaceHolds(db: Database, holds: Shipment['holds']): void {
  const wanted = holds.map(({ name, position }) => ({ name, position: parsePosition(position) }))
  const found = db.prepare('SELECT name, position FROM holds ORDER BY name').all()
  if (isDeepStrictEqual(found, wanted)) return
  db.exec('DELETE FROM holds')
  const insert = db.prepare<[string, number]>('INSERT INTO holds VALUES (?, ?)')
  for (const { name, position } of wanted) insert.run(name, position)
}
