import { crc32 } from 'node:zlib'
import { eventError } from '../errors.js'
import type { Position } from '../log.js'
import type { CheckpointRow } from './store.js'

const FORMAT = 1

/** Where a version of a projection is, and what is known of it. */
export interface Checkpoint extends Omit<CheckpointRow, 'details' | 'checksum'> {
  readonly details: CheckpointDetails
}

export interface CheckpointDetails {
  readonly format: number
  /** Which events it was set up for, as JSON. */
  readonly select: string
  /** Its tables, by the names that the projection gives them. */
  readonly tables: readonly string[]
  /** What their columns were. */
  readonly columns: readonly string[]
  /** Whether it has reached the end of the log once. */
  readonly built?: boolean
  /** The last event that was handled: another log has another one there. */
  readonly last?: { readonly position: Position; readonly id: string }
  /** Ids of events behind the position that are in the read model already, see `ahead.ts`. */
  readonly ahead?: readonly string[]
  /** How many of its changes were inline appends. */
  readonly inlined?: number
  /** The version that was active before. */
  readonly before?: number
  /** Into how many buckets it is divided, each with a row of its own. */
  readonly buckets?: number
  /** Of one with buckets: whether a function says what the key of an event is. */
  readonly keyed?: boolean
  /** The highest token under which it was run; undefined if it was run without one since. */
  readonly fence?: number
  /** What has stopped it, or stops its side effects. */
  readonly error?: string
}

/** What a new row begins with. */
export function newDetails(select: string): CheckpointDetails {
  return { format: FORMAT, select, tables: [], columns: [] }
}

export function toRow({ details, ...rest }: Checkpoint): CheckpointRow {
  const row = { ...rest, details: JSON.stringify(details), checksum: 0 }
  return { ...row, checksum: checksumOf(row) }
}

/**
 * Reads a row.
 *
 * @throws `BANYAN_READ_MODEL_CORRUPT` if somebody else than Banyan has written it, `BANYAN_LOG_FORMAT`
 */
export function fromRow(row: CheckpointRow): Checkpoint {
  const what = describeVersion(row)
  if (checksumOf(row) !== row.checksum)
    throw eventError(
      'BANYAN_READ_MODEL_CORRUPT',
      `the row of ${what} in banyan_projection was changed by hand or damaged: its checksum does not fit. ` +
        'What its tables hold is not known any more. Drop this version, and build it anew',
    )
  const details = JSON.parse(row.details) as CheckpointDetails
  if (details.format > FORMAT)
    throw eventError(
      'BANYAN_LOG_FORMAT',
      `${what} was written by a newer version of Banyan (format ${details.format}); update this one`,
    )
  return withDetails(row, details)
}

/** A row whatever is wrong with it: what was changed by hand can still be removed. */
export function fromDamagedRow(row: CheckpointRow): Checkpoint {
  try {
    return withDetails(row, { ...newDetails(''), ...(JSON.parse(row.details) as object) })
  } catch {
    return withDetails(row, newDetails(''))
  }
}

/** The row after a change. */
export function changed(
  checkpoint: Checkpoint,
  time: number,
  change: Partial<Pick<Checkpoint, 'position' | 'active' | 'state' | 'owner' | 'details'>>,
): Checkpoint {
  return { ...checkpoint, ...change, revision: checkpoint.revision + 1, updated: time }
}

/** What to call a row in messages. */
export function describeVersion({ name, version }: { name: string; version: number }): string {
  return version === 0 ? `the side effects of ${name}` : `${name} version ${version}`
}

/** Details with a fence, or without any. */
export function withFence(details: CheckpointDetails, fence: number | undefined): CheckpointDetails {
  const changed: { -readonly [Name in keyof CheckpointDetails]: CheckpointDetails[Name] } = { ...details }
  delete changed.fence
  if (fence !== undefined) changed.fence = fence
  return changed
}

/** Details with an error, or without any. */
export function withError(details: CheckpointDetails, error: string | undefined): CheckpointDetails {
  const changed: { -readonly [Name in keyof CheckpointDetails]: CheckpointDetails[Name] } = { ...details }
  delete changed.error
  if (error !== undefined) changed.error = error
  return changed
}

function withDetails(row: CheckpointRow, details: CheckpointDetails): Checkpoint {
  const { name, version, revision, position, active, state, owner, updated } = row
  return { name, version, revision, position, active, state, owner, updated, details }
}

function checksumOf(row: Omit<CheckpointRow, 'checksum'>): number {
  const { name, version, revision, position, active, state, owner, updated, details } = row
  const parts = [name, version, revision, position, active, state, owner, updated, details]
  return crc32(parts.join('\0'))
}
