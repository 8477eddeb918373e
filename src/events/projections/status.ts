import { BanyanError } from '../../core/errors.js'
import type { EventLog, Position, Selector } from '../log.js'
import { isSystemStream } from '../transform.js'
import { Ahead } from './ahead.js'
import { fromDamagedRow, fromRow, type Checkpoint } from './checkpoint.js'
import { isRun } from './ownership.js'
import { countParked } from './parking.js'
import { partName, partsIn, wholeName, wholeOf } from './parts.js'
import { EFFECTS } from './setup.js'
import type { CheckpointRow, ProjectionState, ReadModelStore } from './store.js'

/** A version of a projection. */
export interface ProjectionStatus {
  readonly name: string
  readonly version: number
  readonly active: boolean
  readonly state: ProjectionState
  readonly position: Position
  /** Whether some process runs it, or did until it crashed. */
  readonly running: boolean
  /** When its checkpoint was moved, in ms since the epoch. */
  readonly updated: number
  /**
   * Selected events that it does not have yet, counted up to 10,000; with buckets those behind the last of them, which other
   * buckets may have; undefined if its row or the log is damaged.
   */
  readonly lag: number | undefined
  /** Events that are parked. */
  readonly parked: number
  /** What has stopped it, or why not all of this is known. */
  readonly error: string | undefined
  /** Of one that is divided: how its buckets are, by their number; those that were never run are left out. */
  readonly parts?: readonly PartStatus[]
  /** How far side effects are, which are those of the active version. */
  readonly effects: { readonly position: Position; readonly error: string | undefined } | undefined
}

/** A bucket of a projection. */
export interface PartStatus extends Pick<ProjectionStatus, 'state' | 'position' | 'running' | 'updated'> {
  readonly bucket: number
  readonly error?: string
}

/** How far a lag is counted. */
const MOST_LAG = 10_000

/** What is wrong with one version alone, and is told of it. */
const DAMAGE = new Set<string>([
  'BANYAN_READ_MODEL_CORRUPT',
  'BANYAN_LOG_FORMAT',
  'BANYAN_LOG_CORRUPT',
  'BANYAN_POSITION_AHEAD',
  'BANYAN_INVALID_POSITION',
])

/** Every version of every projection of a store, by name and version; one that is damaged says so. */
export async function statusesOf(store: ReadModelStore<unknown>, log: EventLog): Promise<ProjectionStatus[]> {
  const rows = await store.read((view) => view.rows())
  const effects = new Map(rows.filter(({ version }) => version === EFFECTS).map((row) => [row.name, row]))
  const found: ProjectionStatus[] = []
  for (const row of rows)
    if (row.version !== EFFECTS && row.name === wholeName(row.name))
      found.push(await statusOf(row, rows, effects.get(row.name), store, log))
  return found
}

async function statusOf(
  row: CheckpointRow,
  rows: readonly CheckpointRow[],
  effectsRow: CheckpointRow | undefined,
  store: ReadModelStore<unknown>,
  log: EventLog,
): Promise<ProjectionStatus> {
  const { checkpoint: own, damage } = checkpointOf(row)
  const parts = partsIn(rows, own, (part) => checkpointOf(part).checkpoint)
  const checkpoint = wholeOf(own, parts)
  const { name, version, active, state, position, updated, details } = checkpoint
  const lag = damage === undefined ? await told(() => lagOf(log, checkpoint)) : undefined
  const error = damage ?? (typeof lag === 'string' ? lag : details.error)
  const effects = effectsRow && checkpointOf(effectsRow)
  return {
    name,
    version,
    active,
    state: damage === undefined ? state : 'failed',
    position,
    running: parts.length === 0 ? isRun(own) : parts.every((part) => part !== undefined && isRun(part)),
    ...(parts.length > 0 && {
      parts: parts.flatMap((part, bucket) => (part ? [partStatus(part, bucket)] : [])),
    }),
    updated,
    lag: typeof lag === 'string' ? undefined : lag,
    parked: await countAllParked(store, own),
    error,
    effects: effects && {
      position: effects.checkpoint.position,
      error: effects.damage ?? effects.checkpoint.details.error,
    },
  }
}

function partStatus(part: Checkpoint, bucket: number): PartStatus {
  const { state, position, updated, details } = part
  const { error } = details
  return { bucket, state, position, running: isRun(part), updated, ...(error !== undefined && { error }) }
}

async function countAllParked(
  store: ReadModelStore<unknown>,
  { name, version, details: { buckets } }: Checkpoint,
): Promise<number> {
  if (buckets === undefined) return countParked(store, name, version)
  let count = 0
  for (let bucket = 0; bucket < buckets; bucket++)
    count += await countParked(store, partName(name, bucket), version)
  return count
}

/** What a row says, and why that is not to be relied on. */
function checkpointOf(row: CheckpointRow): { checkpoint: Checkpoint; damage?: string } {
  try {
    return { checkpoint: fromRow(row) }
  } catch (error) {
    return { checkpoint: fromDamagedRow(row), damage: damageOf(error) }
  }
}

async function lagOf(log: EventLog, checkpoint: Checkpoint): Promise<number> {
  const { position, details } = checkpoint
  const ahead = new Ahead(checkpoint)
  const options = { from: position, limit: MOST_LAG, faults: 'give' as const }
  let lag = 0
  for await (const event of log.read(JSON.parse(details.select) as Selector, options))
    if (!isSystemStream(event.stream) && !ahead.has(event)) lag++
  return lag
}

/** What work gives, or what is damaged. */
async function told<Result>(work: () => Promise<Result>): Promise<Result | string> {
  try {
    return await work()
  } catch (error) {
    return damageOf(error)
  }
}

/** @throws what says nothing of one version, but of the store or the log */
function damageOf(error: unknown): string {
  if (error instanceof BanyanError && DAMAGE.has(error.code)) return error.message
  throw error
}
