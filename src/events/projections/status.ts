import { BanyanError } from '../../core/errors.js'
import type { EventLog, Position, Selector } from '../log.js'
import { isSystemStream } from '../transform.js'
import { Ahead } from './ahead.js'
import { fromDamagedRow, fromRow, type Checkpoint } from './checkpoint.js'
import { isRun } from './ownership.js'
import { countParked } from './parking.js'
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
  /** Selected events that it does not have yet, counted up to 10,000; undefined if its row or the log is damaged. */
  readonly lag: number | undefined
  /** Events that are parked. */
  readonly parked: number
  /** What has stopped it, or why not all of this is known. */
  readonly error: string | undefined
  /** How far side effects are, which are those of the active version. */
  readonly effects: { readonly position: Position; readonly error: string | undefined } | undefined
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
    if (row.version !== EFFECTS) found.push(await statusOf(row, effects.get(row.name), store, log))
  return found
}

async function statusOf(
  row: CheckpointRow,
  effectsRow: CheckpointRow | undefined,
  store: ReadModelStore<unknown>,
  log: EventLog,
): Promise<ProjectionStatus> {
  const { checkpoint, damage } = checkpointOf(row)
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
    running: isRun(checkpoint),
    updated,
    lag: typeof lag === 'string' ? undefined : lag,
    parked: await countParked(store, name, version),
    error,
    effects: effects && {
      position: effects.checkpoint.position,
      error: effects.damage ?? effects.checkpoint.details.error,
    },
  }
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
