import type { Database } from 'better-sqlite3'
import { coordinationError } from '../../../coordination/errors.js'
import type { Heads } from './head-file.js'

/**
 * How revisions are kept from coming again although the last changes may be lost with the power: they are given out of
 * blocks, of which the end is on disk before the first of them is used (the hi/lo algorithm). After a start of the machine
 * they go on behind the block.
 */
export const BLOCK = 1_000_000
/**
 * How far they jump when the file is found to be a copy, or to be put back to an earlier state: what it was copied from
 * cannot have gone so far meanwhile.
 */
export const JUMP = 2 ** 32
/** The last one that is a whole number in JavaScript. At ten thousand changes a second it is reached in 28,000 years. */
export const LAST = Number.MAX_SAFE_INTEGER

/** Where and when a file is used. */
export interface Surroundings {
  /** Which start of the machine. */
  readonly boot: string
  /** Which file. */
  readonly file: string
  /** What the file beside it said before it was opened. */
  readonly witness: Heads
}

interface StoreRow {
  readonly epoch: number
  readonly ceiling: number
  readonly revision: number
  readonly boot: string
  readonly file: string
}

/**
 * Makes a file that of this start of the machine, if it is not yet: all leases are over, as whoever held one is gone, and
 * revisions go on behind all that can ever have been given out. The caller has a transaction begun, which is on disk before
 * others see it.
 *
 * @returns its epoch, for which whoever opens it may use it
 */
export function takeOver(db: Database, path: string, { boot, file, witness }: Surroundings): number {
  const row = db
    .prepare<[], StoreRow>(
      `SELECT epoch, ceiling, max(revision, coalesce((SELECT max(revision) FROM changes), 0)) AS revision, boot, file
       FROM store`,
    )
    .get()!
  const made = row.epoch === 0
  const sameBoot = row.boot === boot
  const copied = row.file !== file
  // With the power the last changes go, but nothing above the ceiling was ever given out.
  const putBack = witness.revision > (sameBoot ? row.revision : row.ceiling)
  if (!made && sameBoot && !copied && !putBack) return row.epoch

  const jump = putBack || (copied && !made) ? JUMP : 0
  // One of its own: that all leases are over is a change. Nobody is told of it, but to list again.
  const revision = Math.max(row.ceiling, witness.revision) + 1 + jump
  checkLeft(path, revision + BLOCK)
  db.exec('DELETE FROM keys WHERE lease IS NOT NULL; DELETE FROM leases; DELETE FROM changes')
  db.prepare(
    `UPDATE store SET epoch = epoch + 1, revision = @revision, compacted = @revision, bytes = 0, lasting = @revision,
       ceiling = @ceiling, leases = 0, boot = @boot, file = @file`,
  ).run({ revision, ceiling: revision + BLOCK, boot, file })
  return row.epoch + 1
}

/** @throws `BANYAN_COORDINATOR_UNAVAILABLE` if there are no revisions up to there */
export function checkLeft(path: string, revision: number): void {
  if (revision <= LAST) return
  throw coordinationError(
    'BANYAN_COORDINATOR_UNAVAILABLE',
    `${path} has used up its revisions, of which there are ${LAST}; nothing was changed. Make a new store`,
  )
}
