import type { CandidateFacts } from './candidate.js'

/** A kind of query, by the columns that it compares with one value each (`WHERE tenant = $1 AND day = $2`). */
export interface SampleQuery {
  readonly filters: readonly string[]
  /** How often it comes, beside the others; above 0, default 1. */
  readonly weight?: number
}

/** A column, or two, as shard key. */
export interface ShardKeyCandidate extends CandidateFacts {
  readonly columns: readonly string[]
  /** 0 to 1, only to compare candidates of one advice. */
  readonly score: number
  /** `good`: nothing speaks against it. `poor`: do not take it. */
  readonly verdict: 'good' | 'usable' | 'poor'
  /** What part of the queries one shard could answer; undefined without queries. */
  readonly toOneShard: number | undefined
  /** What speaks for and against it, in words, the most important first. */
  readonly reasons: readonly string[]
}

/** Values a shard should have at least, so that they can be spread and moved. */
const VALUES_PER_SHARD = 16
/** From here on nobody should mind. */
const GOOD = 0.7
const USABLE = 0.3

/** One thing that is said of a candidate: a factor of its score, and why. */
interface Point {
  readonly factor: number
  readonly reason: string
}

/** Makes a verdict of facts: every point is a factor from 0 to 1, the worst is told first. */
export function judge(
  columns: readonly string[],
  facts: CandidateFacts,
  context: { rows: number; shards: number; queries: readonly SampleQuery[] | undefined },
): ShardKeyCandidate {
  const toOneShard = context.queries && shareToOneShard(columns, context.queries)
  const points = [
    ...ofValues(facts, context.shards, context.rows),
    ...ofTime(facts),
    ...ofChanges(facts),
    ...(toOneShard === undefined ? [] : [ofQueries(toOneShard)]),
  ]
  const score = points.reduce((product, { factor }) => product * factor, 1)
  return {
    columns,
    score,
    verdict: score >= GOOD ? 'good' : score >= USABLE ? 'usable' : 'poor',
    toOneShard,
    ...facts,
    reasons: points.sort((a, b) => a.factor - b.factor).map(({ reason }) => reason),
  }
}

function* ofValues(
  { missing, distinct, top, fullest }: CandidateFacts,
  shards: number,
  rows: number,
): Generator<Point> {
  if (missing === 1) {
    yield { factor: 0, reason: 'no row has a value that can be a key' }
    return
  }
  if (missing > 0)
    yield {
      factor: (1 - missing) ** 4 * 0.8,
      reason: `${percent(missing)} of rows have no value, and so no shard`,
    }
  if (distinct < shards)
    yield {
      factor: distinct / (shards * VALUES_PER_SHARD),
      reason: `only ${count(distinct, 'value')} for ${shards} shards: some would stay empty`,
    }
  else if (distinct < shards * VALUES_PER_SHARD)
    yield {
      factor: distinct / (shards * VALUES_PER_SHARD),
      reason: `${count(distinct, 'value')} are few for ${shards} shards: a shard can hardly be split`,
    }
  else yield { factor: 1, reason: `about ${count(distinct, 'value')}` }
  if (top && top.share > 1 / shards)
    yield {
      factor: 1 / shards / top.share,
      reason: `${JSON.stringify(top.value)} alone is ${percent(top.share)} of rows, more than the part of a shard (${percent(1 / shards)}): splitting cannot help`,
    }
  // What a sample that small shows of any key, by chance alone.
  const chance = 1 + 3 * Math.sqrt(shards / rows)
  if (fullest > Math.max(1.25, chance))
    yield {
      // Said for itself, but counted once: a frequent value makes a full shard.
      factor: top && top.share > 1 / shards ? 1 : 1.25 / fullest,
      reason: `the fullest of ${shards} shards would have ${fullest.toFixed(2)} times the mean`,
    }
  else
    yield {
      factor: 1,
      reason: `rows are even: the fullest of ${shards} shards has ${fullest.toFixed(2)} times the mean`,
    }
}

function* ofTime({ rises, isTime }: CandidateFacts): Generator<Point> {
  if (rises)
    yield {
      factor: 1,
      reason:
        'values rise: by ranges all new rows would go to the last shard; by hash, as here, they are spread',
    }
  if (isTime)
    yield { factor: 0.6, reason: 'a point in time, which queries ask for by ranges: those go to all shards' }
}

function* ofChanges({ changes }: CandidateFacts): Generator<Point> {
  if (changes === undefined) return
  if (changes === 0) yield { factor: 1, reason: 'no row has changed it' }
  else
    yield {
      factor: 1 / (1 + 20 * changes),
      reason: `${percent(changes)} of changes to rows change it, and each has to move its row to another shard`,
    }
}

function ofQueries(share: number): Point {
  return {
    factor: 0.1 + 0.9 * share,
    reason:
      share === 0
        ? 'every query goes to all shards'
        : share === 1
          ? 'every query goes to one shard'
          : `${percent(share)} of queries go to one shard, the others to all`,
  }
}

/** A query goes to one shard if it says all that the key is made of. */
function shareToOneShard(columns: readonly string[], queries: readonly SampleQuery[]): number {
  let [all, one] = [0, 0]
  for (const { filters, weight = 1 } of queries) {
    all += weight
    if (columns.every((column) => filters.includes(column))) one += weight
  }
  return all === 0 ? 0 : one / all
}

function percent(share: number): string {
  return `${(share * 100).toFixed(share < 0.01 ? 2 : share < 0.1 ? 1 : 0)}%`
}

function count(number: number, noun: string): string {
  return `${number.toLocaleString('en')} ${noun}${number === 1 ? '' : 's'}`
}
