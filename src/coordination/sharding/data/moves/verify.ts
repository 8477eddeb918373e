import type { Sides } from './sides.js'

/** The copy is not what it should be, and no change under way explains it. */
export class Divergence extends Error {}

/** What {@link verify} needs. */
export interface Verification {
  /** Rows that are compared at once. */
  readonly page: number
  /** Applies all that was noted. */
  readonly catchUp: () => Promise<boolean>
  readonly pace: (rows: number) => Promise<void>
  readonly signal: AbortSignal
}

/** Rows that are told of a copy that diverges, and how often those that keep changing are compared. */
const NAMED = 5
const ROUNDS = 10

/**
 * Compares every row of a move, while it is written to. A row that differs is compared again after what was noted is applied: if it
 * differs then, and nothing was noted of it, the copy is wrong. One that changes each time will be written anew before the switch.
 *
 * @throws {@link Divergence}
 */
export async function verify(sides: Sides, tables: readonly string[], checks: Verification): Promise<void> {
  const { source, target, step } = sides
  for (const table of tables) {
    for (const bucket of step.buckets)
      for (let after: string | undefined, last = false; !last;) {
        checks.signal.throwIfAborted()
        const page = await source.moves.readPage(step, { table, bucket, after, limit: checks.page })
        const keys = page.rows.map(({ key }) => key)
        const staged = await target.moves.digests(step, table, keys, 'staged')
        const differ = page.rows.filter(({ key, digest }) => staged.get(key) !== digest)
        if (differ.length > 0) await compareAgain(sides, table, differ.map(({ key }) => key), checks) // prettier-ignore
        after = keys.at(-1) ?? after
        last = page.last
        await checks.pace(keys.length)
      }
    await compareCounts(sides, table, checks)
    const conflict = await target.moves.conflict(step, table)
    if (conflict !== undefined)
      throw new Divergence(
        `${target.id} has a row of ${JSON.stringify(table)} with the primary key ${conflict} already, in another bucket: primary keys must be unique over all shards`,
      )
  }
}

async function compareAgain(
  sides: Sides,
  table: string,
  suspects: readonly string[],
  { catchUp }: Verification,
): Promise<void> {
  const { source, target, step } = sides
  let keys = suspects
  for (let round = 0; round < ROUNDS && keys.length > 0; round++) {
    await catchUp()
    const there = await source.moves.digests(step, table, keys, 'tables')
    const staged = await target.moves.digests(step, table, keys, 'staged')
    const differ = keys.filter((key) => there.get(key) !== staged.get(key))
    if (differ.length === 0) return
    const pending = await pendingOf(sides, table)
    const wrong = differ.filter((key) => !pending.has(key))
    if (wrong.length > 0)
      throw new Divergence(
        `${wrong.length} of ${keys.length} rows of ${JSON.stringify(table)} that were compared are not what they are at ${source.id}: ${wrong.slice(0, NAMED).join(', ')}`,
      )
    keys = differ
  }
}

async function compareCounts(sides: Sides, table: string, { catchUp }: Verification): Promise<void> {
  const { source, target, step } = sides
  for (let round = 0; round < ROUNDS; round++) {
    await catchUp()
    const there = await source.moves.count(step, table, 'tables')
    const staged = await target.moves.count(step, table, 'staged')
    if (there === staged) return
    // With nothing noted nothing has changed since both were the same.
    if ((await pendingOf(sides, table)).size === 0)
      throw new Divergence(
        `${staged} rows of ${JSON.stringify(table)} are staged, and ${source.id} has ${there}`,
      )
  }
}

/** Rows of a table of which something was noted: all that is needed of the first of them, or that there are none. */
async function pendingOf({ source, step }: Sides, table: string): Promise<ReadonlySet<string>> {
  const { changes } = await source.moves.readChanges(step, Number.MAX_SAFE_INTEGER)
  return new Set(changes.filter((change) => change.table === table).map(({ key }) => key))
}
