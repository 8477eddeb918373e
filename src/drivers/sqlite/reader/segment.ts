import type { Query } from '../../../events/driver.js'

/**
 * A part of the way that a page takes: along an index, or, behind what is indexed, along the events themselves. `key` is
 * what rises along it.
 */
export interface Segment {
  readonly key: 'e.position' | 'i.position' | 'i.revision'
  readonly from: string
  /** What is on the way at all. */
  readonly where: string
  readonly parameters: readonly unknown[]
  /** The first key and the last one; none if they have changed places. */
  readonly low: number
  readonly high: number
  /** Whether every key between them must be there, unless it is at most `removed`. */
  readonly contiguous: boolean
  readonly removed: number
  readonly filters: readonly Filter[]
}

/** What must be true of an event on the way to be selected. */
export interface Filter {
  readonly sql: string
  readonly parameters: readonly unknown[]
}

/** The tags and types of a query. */
export function filtersOf({ tags = [], types }: Query): Filter[] {
  const filters: Filter[] = tags.map((tag) => ({
    sql: 'EXISTS (SELECT 1 FROM json_each(e.tags) WHERE value = ?)',
    parameters: [tag],
  }))
  if (types)
    filters.push({
      sql: 'e.type IN (SELECT value FROM json_each(?))',
      parameters: [JSON.stringify(types)],
    })
  return filters
}

/** Along the events themselves. */
export function alongEvents(low: number, high: number, removed: number, filters: readonly Filter[]): Segment {
  return {
    key: 'e.position',
    from: 'events e',
    where: 'true',
    parameters: [],
    low,
    high,
    contiguous: true,
    removed,
    filters,
  }
}

/**
 * Along an index. What is in the index and not among the events was lost, and must not be left out in silence: so it is
 * a left join.
 */
export function alongIndex(
  index: 'stream' | 'category' | 'tag',
  of: number | string,
  low: number,
  high: number,
  filters: readonly Filter[],
): Segment {
  return {
    key: index === 'stream' ? 'i.revision' : 'i.position',
    from: `${index}_index i LEFT JOIN events e ON e.position = i.position`,
    where: `i.${index} = ?`,
    parameters: [of],
    low,
    high,
    contiguous: index === 'stream',
    removed: 0,
    filters,
  }
}
