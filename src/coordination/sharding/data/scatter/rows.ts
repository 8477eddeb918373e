import type { Column, Row } from '../store.js'
import { identityOf } from './identity.js'
import { tooLarge } from './too-large.js'

/** Rows, some at a time. */
export type Batches = AsyncIterable<readonly Row[]>

/** One after the other, as they come. */
export async function* concatenated(
  sources: readonly { readonly batches: AsyncIterator<readonly Row[]> }[],
): AsyncGenerator<readonly Row[]> {
  for (const { batches } of sources)
    for (let next = await batches.next(); next.done !== true; next = await batches.next()) yield next.value
}

/**
 * Each row once.
 *
 * @param most - rows that are remembered, at most
 * @throws `BANYAN_QUERY_TOO_LARGE`
 */
export async function* distinct(
  batches: Batches,
  columns: readonly Column[],
  most: number,
): AsyncGenerator<readonly Row[]> {
  const seen = new Set<string>()
  for await (const batch of batches) {
    const fresh = batch.filter((row) => {
      const identity = identityOf(row, columns)
      if (seen.has(identity)) return false
      if (seen.size >= most) throw tooLarge(most, 'distinct rows')
      seen.add(identity)
      return true
    })
    yield fresh
  }
}

/** From an offset, up to a limit. */
export async function* section(
  batches: Batches,
  offset: number,
  limit = Infinity,
): AsyncGenerator<readonly Row[]> {
  let skip = offset
  let left = limit
  if (left === 0) return
  for await (const batch of batches) {
    const rows = skip >= batch.length ? [] : batch.slice(skip, skip + left)
    skip -= Math.min(skip, batch.length)
    left -= rows.length
    if (rows.length > 0) yield rows
    if (left === 0) return
  }
}

/** All of them. */
export async function collected(batches: Batches, most: number): Promise<Row[]> {
  const rows: Row[] = []
  for await (const batch of batches) {
    if (rows.length + batch.length > most) throw tooLarge(most, 'rows')
    for (const row of batch) rows.push(row)
  }
  return rows
}
