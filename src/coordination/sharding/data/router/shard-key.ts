import { coordinationError } from '../../../errors.js'

/** What decides where rows are. A number and its digits as text are the same key: 7, 7n and '7'. */
export type ShardKey = string | number | bigint

/** A database would have another character in its place, and the row another bucket. */
const HALF = /\p{Surrogate}/u

/**
 * The one text of a key.
 *
 * @throws `BANYAN_SHARD_KEY_REQUIRED` for what is missing, empty or null; for numbers that are not whole, or too large to be exact
 */
export function shardKeyText(key: ShardKey): string {
  if (typeof key === 'string' && key !== '' && !HALF.test(key)) return key
  if (typeof key === 'bigint') return String(key)
  // -0 is 0.
  if (typeof key === 'number' && Number.isSafeInteger(key)) return String(key)
  throw coordinationError(
    'BANYAN_SHARD_KEY_REQUIRED',
    `a shard key is a text that is not empty, a whole number that is exact, or a bigint; got ${shown(key)}`,
  )
}

function shown(key: unknown): string {
  if (key === '') return 'an empty text'
  if (typeof key === 'string') return 'a text with half of a surrogate pair, which no database keeps'
  return typeof key === 'number' || key === null ? String(key) : `what is ${typeof key}`
}
