import type { Compared } from '../map.js'
import type { Sides } from './sides.js'

/** The copy is not what it should be, and no change under way explains it. */
export class Divergence extends Error {}

/** What {@link compareSome} needs. */
export interface Verification {
  /** Rows that are compared at once. */
  readonly page: number
  /** Applies what was noted, for the time of a turn; whether nothing was left. */
  readonly catchUp: () => Promise<boolean>
  readonly pace: (rows: number) => Promise<void>
  /** Whether the turn is over. */
  readonly isOver: () => boolean
  readonly signal: AbortSignal
}

/** Rows that are told of a copy that diverges, and how often those that keep changing are compared. */
const NAMED = 5
const ROUNDS = 10

/**
 * Compares rows of a move for a turn, while they are written to. A row that differs is compared again after what was noted is
 * applied: if it differs then, and nothing was noted of it, the copy is wrong. One that changes each time will be written anew before
 * the switch.
 *
 * @param before - where the last turn has ended: what was compared stays the same by what is applied
 * @returns where this one has ended; undefined: all are as they should be
 * @throws {@link Divergence}
 */
export async function compareSome(
  sides: Sides,
  tables: readonly string[],
  before: Compared | undefined,
  checks: Verification,
): Promise<Compared | undefined> {
  const { source, target, step } = sides
  let at: Compared | undefined = before && tables.includes(before.table) ? before : undefined
  let rows = at?.rows ?? 0
  for (const table of at ? tables.slice(tables.indexOf(at.table)) : tables) {
    const done = at?.table === table ? step.buckets.indexOf(at.bucket) : 0
    for (const bucket of step.buckets.slice(Math.max(0, done))) {
      let after = at?.table === table && at.bucket === bucket ? at.after : undefined
      for (let last = false; !last;) {
        checks.signal.throwIfAborted()
        const here = { table, bucket, rows, ...(after !== undefined && { after }) }
        if (checks.isOver()) return here
        const page = await source.moves.readPage(step, { table, bucket, after, limit: checks.page })
        const keys = page.rows.map(({ key }) => key)
        const staged = await target.moves.digests(step, table, keys, 'staged')
        const differ = page.rows.filter(({ key, digest }) => staged.get(key) !== digest)
        if (!(await isSameAgain(sides, table, differ.map(({ key }) => key), checks))) return here // prettier-ignore
        after = keys.at(-1) ?? after
        last = page.last
        rows += keys.length
        await checks.pace(keys.length)
        at = { table, bucket, rows, ...(after !== undefined && { after }) }
      }
    }
    if (!(await isCountSame(sides, table, checks))) return at
    const left = await source.moves.leftBehind(step, table)
    if (left !== undefined)
      throw new Divergence(
        `the row ${left} of ${JSON.stringify(table)} is in another bucket, and refers to one that goes: rows that refer to each other must have the same key`,
      )
    const conflict = await target.moves.conflict(step, table)
    if (conflict !== undefined)
      throw new Divergence(
        `${target.id} has a row of ${JSON.stringify(table)} with the primary key ${conflict} already, in another bucket: primary keys must be unique over all shards`,
      )
  }
  return undefined
}

/** @returns whether it could be told: not while there is more to catch up with than a turn is enough for */
async function isSameAgain(
  sides: Sides,
  table: string,
  suspects: readonly string[],
  { catchUp }: Verification,
): Promise<boolean> {
  const { source, target, step } = sides
  let keys = suspects
  for (let round = 0; round < ROUNDS && keys.length > 0; round++) {
    if (!(await catchUp())) return false
    const there = await source.moves.digests(step, table, keys, 'tables')
    const staged = await target.moves.digests(step, table, keys, 'staged')
    const differ = keys.filter((key) => there.get(key) !== staged.get(key))
    if (differ.length === 0) return true
    const pending = await pendingOf(sides, table)
    const wrong = differ.filter((key) => !pending.has(key))
    if (wrong.length > 0)
      throw new Divergence(
        `${wrong.length} of ${keys.length} rows of ${JSON.stringify(table)} that were compared are not what they are at ${source.id}: ${wrong.slice(0, NAMED).join(', ')}`,
      )
    keys = differ
  }
  return true
}

/** @returns as {@link isSameAgain} */
async function isCountSame(sides: Sides, table: string, { catchUp }: Verification): Promise<boolean> {
  const { source, target, step } = sides
  for (let round = 0; round < ROUNDS; round++) {
    if (!(await catchUp())) return false
    const there = await source.moves.count(step, table, 'tables')
    const staged = await target.moves.count(step, table, 'staged')
    if (there === staged) return true
    // With nothing noted nothing has changed since both were the same.
    if ((await pendingOf(sides, table)).size === 0)
      throw new Divergence(
        `${staged} rows of ${JSON.stringify(table)} are staged, and ${source.id} has ${there}`,
      )
  }
  return true
}

/** Rows of a table of which something was noted: all that is needed of the first of them, or that there are none. */
async function pendingOf({ source, step }: Sides, table: string): Promise<ReadonlySet<string>> {
  const { changes } = await source.moves.readChanges(step, Number.MAX_SAFE_INTEGER)
  return new Set(changes.filter((change) => change.table === table).map(({ key }) => key))
}
