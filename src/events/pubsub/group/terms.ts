import type { Settings } from '../options.js'

/** What has to be the same in all processes of a subscription: which messages are passed over, and how they are settled. */
export interface Terms {
  readonly types?: readonly string[]
  readonly tags?: readonly string[]
  /** Whether a function leaves messages out; two functions cannot be compared. */
  readonly where: boolean
  readonly key: 'stream' | 'function'
  readonly delivery: Settings['delivery']
  readonly park: Settings['park']
  /** The shard map that says who works on which partition; undefined: they are shared evenly. */
  readonly assignment?: string
}

export function termsOf({ selector, where, key, delivery, park, assignment }: Settings): Terms {
  const { types, tags } = selector
  return {
    ...(types && { types: [...new Set(types)].sort() }),
    ...(tags && { tags: [...new Set(tags)].sort() }),
    where: where !== undefined,
    key: key ? 'function' : 'stream',
    delivery,
    park,
    ...(assignment !== undefined && { assignment }),
  }
}

/** What differs, for people: `types: A, not A, B`; undefined if nothing does. */
export function difference(has: Terms, wants: Terms): string | undefined {
  const differing: string[] = []
  for (const name of ['types', 'tags', 'where', 'delivery', 'park'] as const) {
    const [old, own] = [inWords(has[name]), inWords(wants[name])]
    if (old !== own) differing.push(`${name}: ${old}, not ${own}`)
  }
  return differing.length > 0 ? differing.join('; ') : undefined
}

function inWords(value: Terms[keyof Terms]): string {
  if (value === undefined) return 'any'
  if (typeof value === 'boolean') return value ? 'a function' : 'none'
  return typeof value === 'string' ? value : value.join(', ')
}
