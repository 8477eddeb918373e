import type { Query } from '../../../events/driver.js'

/**
 * How a page is found: along positions, along the revisions of a stream, or along an index of positions (of a category
 * or a tag). `key` is what rises along the way.
 */
export interface Walk {
  readonly key: 'e.position' | 'e.revision' | 't.position'
  readonly from: string
  readonly where: string
  readonly parameters: readonly unknown[]
  /** What must be true of an event on the way; the way then is walked a stretch at a time. */
  readonly filters: readonly string[]
  readonly filterParameters: readonly unknown[]
  /** Whether every key between the first and the last must be there. */
  readonly contiguous: boolean
}

/** Ids that a query's names have in the file; undefined if it has none. */
export interface Names {
  readonly stream?: number
  readonly category?: number
}

export function walkOf(query: Query, { stream, category }: Names): Walk {
  const tags = query.tags ?? []
  const byTag = query.stream === undefined && tags.length > 0
  const filters: string[] = []
  const filterParameters: unknown[] = []
  for (const tag of byTag ? tags.slice(1) : tags) {
    filters.push('EXISTS (SELECT 1 FROM tags WHERE tag = ? AND position = e.position)')
    filterParameters.push(tag)
  }
  if (byTag && category !== undefined) {
    filters.push('e.category = ?')
    filterParameters.push(category)
  }
  if (query.types) {
    filters.push('e.type IN (SELECT value FROM json_each(?))')
    filterParameters.push(JSON.stringify(query.types))
  }
  const rest = { filters, filterParameters }
  if (query.stream !== undefined)
    return {
      key: 'e.revision',
      from: 'events e INDEXED BY events_by_stream',
      where: 'e.stream = ?',
      parameters: [stream],
      contiguous: true,
      ...rest,
    }
  if (byTag)
    return {
      key: 't.position',
      // What has a tag but is not there was lost, and must not be left out in silence.
      from: 'tags t LEFT JOIN events e ON e.position = t.position',
      where: 't.tag = ?',
      parameters: [tags[0]],
      contiguous: false,
      ...rest,
    }
  if (category !== undefined)
    return {
      key: 'e.position',
      from: 'events e INDEXED BY events_by_category',
      where: 'e.category = ?',
      parameters: [category],
      contiguous: false,
      ...rest,
    }
  return {
    key: 'e.position',
    from: 'events e NOT INDEXED',
    where: 'true',
    parameters: [],
    contiguous: true,
    ...rest,
  }
}
