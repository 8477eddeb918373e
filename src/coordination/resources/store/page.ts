import { compareKeys } from '../../driver.js'
import { badRequest } from '../error.js'
import type { ResourceMatch } from '../selectors/fields.js'
import type { Resource } from '../object.js'
import { isObject } from '../schema/is-object.js'
import type { Held } from './cache.js'

/** Where the next page of a list begins. */
export interface Continuation {
  /** What the list is a state of. */
  readonly revision: number
  /** The key of the last one that was given. */
  readonly after: string
}

/** A part of a list. */
export interface Page {
  readonly items: readonly Resource[]
  /** The key of the last one that was looked at; undefined if there are no more behind it. */
  readonly last: string | undefined
  /** How many are behind it, selected or not. */
  readonly remaining: number
}

/** At most `limit` of those that are selected, behind a key; all if there is no limit. */
export function pageOf(
  state: readonly Held[],
  match: ResourceMatch,
  after: string | undefined,
  limit: number | undefined,
): Page {
  const items: Resource[] = []
  const first = after === undefined ? 0 : countWhile(state, (key) => compareKeys(key, after) <= 0)
  for (let index = first; index < state.length; index++) {
    const { key, resource } = state[index]!
    if (match(resource)) items.push(resource)
    const remaining = state.length - index - 1
    if (items.length === limit && remaining > 0) return { items, last: key, remaining }
  }
  return { items, last: undefined, remaining: 0 }
}

/** Those of a sorted state whose keys begin with a prefix: a page of a long list must not look at each of them. */
export function within(state: readonly Held[], prefix: string): readonly Held[] {
  const first = countWhile(state, (key) => compareKeys(key, prefix) < 0)
  const end = countWhile(state, (key) => key.startsWith(prefix) || compareKeys(key, prefix) < 0)
  return end - first === state.length ? state : state.slice(first, end)
}

/** How many there are before the first that a test does not hold for; it holds for none behind that. */
function countWhile(state: readonly Held[], test: (key: string) => boolean): number {
  let low = 0
  let high = state.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (test(state[middle]!.key)) low = middle + 1
    else high = middle
  }
  return low
}

/** As a token that says nothing to those who get it. */
export function encodeContinuation({ revision, after }: Continuation): string {
  return Buffer.from(JSON.stringify({ v: 1, rv: revision, after })).toString('base64url')
}

/** @throws `BANYAN_RESOURCE_BAD_REQUEST` if it is none of a list of those keys */
export function decodeContinuation(token: string, prefix: string): Continuation {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, 'base64url').toString())
    if (isObject(parsed) && parsed['v'] === 1) {
      const { rv, after } = parsed
      if (Number.isSafeInteger(rv) && typeof after === 'string' && after.startsWith(prefix))
        return { revision: rv as number, after }
    }
  } catch {
    // Told below.
  }
  throw badRequest(`continue key is not valid: ${JSON.stringify(token.slice(0, 80))}`)
}
