import type { Clock } from '../../core/clock.js'
import type { EventLog } from '../log.js'
import { START } from '../position.js'
import { changed, fromRow, newDetails, toRow, type Checkpoint } from './checkpoint.js'
import { checkTableName, tableOf, viewOf, type AnyProjection } from './projection.js'
import { mustHaveBuckets, wholeName } from './parts.js'
import { MovedError, type ReadModelStore, type StoreTransaction } from './store.js'
import { selectionOf } from './verification.js'

/** The version that stands for the side effects of all. */
export const EFFECTS = 0

/**
 * Makes the tables and the row of a version, and the cursor of its side effects, if they are not there. The first version
 * of a projection is read at once; a later one when it is switched to.
 *
 * @throws {@link MovedError} if another process does the same
 */
export async function setUp<Db>(
  projection: AnyProjection<Db>,
  store: ReadModelStore<Db>,
  log: EventLog,
  clock: Clock,
): Promise<Checkpoint> {
  const { name, version, effects, effectsFrom = 'end' } = projection
  const present = await store.read((view) => view.rows(name))
  const hasEffects = effects !== undefined
  const isThere = present.find((row) => row.version === version)
  if (isThere && (!hasEffects || present.some((row) => row.version === EFFECTS))) return fromRow(isThere)
  const begin = hasEffects && effectsFrom === 'end' ? await log.head() : START
  return store.write(async (transaction) => {
    const rows = await transaction.rows(name)
    const row = (number: number): Checkpoint => ({
      name,
      version: number,
      revision: 0,
      position: START,
      active: false,
      state: 'running',
      owner: '',
      updated: clock.wall(),
      details: {
        ...newDetails(selectionOf(projection)),
        ...(projection.buckets !== undefined && {
          buckets: projection.buckets,
          keyed: projection.key !== undefined,
        }),
      },
    })
    if (hasEffects && !rows.some((known) => known.version === EFFECTS))
      await transaction.put(toRow({ ...row(EFFECTS), position: begin }), undefined)
    const known = rows.find((other) => other.version === version)
    if (known) return fromRow(known)
    const active = !rows.some((other) => other.active)
    const begun: Checkpoint = { ...row(version), active, state: 'rebuilding' }
    // Before the tables: others wait here, and do not fail at the half of them.
    await transaction.put(toRow(begun), undefined)
    const tables = await makeTables(projection, transaction)
    const columns = await transaction.describe(tables.map((table) => tableOf(name, version, table)))
    const details = { ...begun.details, tables, columns: columns.map((text) => text ?? '') }
    const made = changed(begun, begun.updated, { details })
    if (active) await transaction.publish(viewsOf(made), [])
    await transaction.put(toRow(made), begun.revision)
    return made
  })
}

/**
 * Makes the row of a bucket, and what all buckets share, if they are not there.
 *
 * @throws {@link MovedError} if another process does the same; `BANYAN_READ_MODEL_CORRUPT`
 */
export async function setUpPart<Db>(
  projection: AnyProjection<Db>,
  store: ReadModelStore<Db>,
  log: EventLog,
  clock: Clock,
): Promise<Checkpoint> {
  const whole = await setUp({ ...projection, name: wholeName(projection.name) }, store, log, clock)
  mustHaveBuckets(whole, projection)
  const { name, version } = projection
  const present = (await store.read((view) => view.rows(name))).find((row) => row.version === version)
  if (present) return fromRow(present)
  const row: Checkpoint = {
    ...whole,
    name,
    revision: 0,
    position: START,
    active: false,
    state: 'rebuilding',
    owner: '',
    updated: clock.wall(),
  }
  return store.write(async (transaction) => {
    // It may have been dropped meanwhile, and then nobody removes this row.
    if (!(await transaction.lock(whole.name, version))) throw new MovedError()
    await transaction.put(toRow(row), undefined)
    return row
  })
}

/** What everybody reads while a version is active. */
export function viewsOf({ name, version, details }: Checkpoint): { name: string; table: string }[] {
  return details.tables.map((table) => ({ name: viewOf(name, table), table: tableOf(name, version, table) }))
}

/** Runs `setup`, and notes which tables it has asked for. */
async function makeTables<Db>(
  { name, version, setup }: AnyProjection<Db>,
  { db }: StoreTransaction<Db>,
): Promise<string[]> {
  const tables = new Set<string>()
  const table = (short: string): string => {
    checkTableName(short, `the name of a table of ${name}`)
    tables.add(short)
    return tableOf(name, version, short)
  }
  await setup?.({ db, table })
  return [...tables]
}
