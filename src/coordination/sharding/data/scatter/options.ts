import { duration, type Duration } from '../../../../core/duration.js'
import { BanyanError } from '../../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../../core/options.js'
import type { Row } from '../store.js'
import { MERGE_TABLE, type MergeOptions } from './merge-options.js'
import type { OrderBy } from './order.js'

/** Options of a query over all databases. */
export interface ShardQueryOptions {
  /**
   * How the rows of several databases become one answer. Default: they are put together, after a check that this is what one database would
   * answer. `'concat'`: the same without the check.
   */
  merge?: MergeOptions | 'concat'
  /** What the rows are put in order by, instead of an ORDER BY; a name is a column, ascending. Default: no order. */
  orderBy?: readonly (string | OrderBy)[]
  /** Rows at most, instead of a LIMIT. Default: all. */
  limit?: number
  /** Rows that are left out before the first one; needs `orderBy`. Default 0. */
  offset?: number
  /** Each row once, whichever databases it comes from. Default false. */
  distinct?: boolean
  /** Which merged rows are in the answer, instead of a HAVING. For `merge`. */
  having?: (row: Row) => boolean
  /**
   * What becomes of a query when a database does not answer. `'refuse'`: it fails, and the others are told to stop. `'allow'`: the rows of
   * the others, and what is missing. Default `'refuse'`.
   */
  partial?: 'refuse' | 'allow'
  /** How long each database has for its answer, of a stream until it has begun, in ms. Default `'30s'`. */
  timeout?: Duration
  /** Databases that are asked at the same time; a stream with `orderBy` has all of them open. Default 16. */
  concurrency?: number
  /**
   * Rows or groups that are kept in memory, at most, of each database and of all; above it is an error. A stream keeps them for `merge` and
   * `distinct` only. Default 100,000.
   */
  maxRows?: number
  /** Ends it. */
  signal?: AbortSignal
}

const OPTIONS: OptionTable<ShardQueryOptions> = {
  merge: {
    kind: 'either',
    of: [
      { kind: 'choice', values: ['concat'], doc: 'Rows are put together without a check.' },
      { kind: 'group', options: MERGE_TABLE, doc: 'How rows of one group become one.' },
    ],
    doc: 'How the rows of several databases become one answer.',
  },
  orderBy: {
    kind: 'list',
    of: {
      kind: 'either',
      of: [
        { kind: 'string', doc: 'A column, ascending.' },
        {
          kind: 'group',
          options: {
            column: { kind: 'string', doc: 'A column of the answer.' },
            direction: { kind: 'choice', values: ['asc', 'desc'], doc: 'Which is first.' },
            nulls: { kind: 'choice', values: ['first', 'last'], doc: 'Where rows without a value are.' },
            collate: { kind: 'string', doc: 'Collation that is sent to the databases.' },
            compare: { kind: 'code', type: 'function', doc: 'Compares as the databases do.' },
          },
          doc: 'A column and how its values are put in order.',
        },
      ],
      doc: 'A column.',
    },
    doc: 'What the rows are put in order by.',
  },
  limit: { kind: 'number', min: 0, integer: true, doc: 'Rows at most.' },
  offset: { kind: 'number', min: 0, integer: true, doc: 'Rows that are left out before the first one.' },
  distinct: { kind: 'boolean', doc: 'Each row once.' },
  having: { kind: 'code', type: 'function', doc: 'Which merged rows are in the answer.' },
  partial: {
    kind: 'choice',
    values: ['refuse', 'allow'],
    doc: 'What becomes of it when a database does not answer.',
  },
  timeout: { kind: 'duration', min: 1, doc: 'How long each database has for its answer.' },
  concurrency: { kind: 'number', min: 1, integer: true, doc: 'Databases that are asked at the same time.' },
  maxRows: { kind: 'number', min: 1, integer: true, doc: 'Rows or groups that are kept in memory, at most.' },
  signal: { kind: 'code', type: 'object', doc: 'Ends it.' },
}

/** Options with their defaults. */
export interface QueryPlan {
  readonly merge: MergeOptions | 'concat' | undefined
  readonly orderBy: readonly OrderBy[]
  readonly limit: number | undefined
  readonly offset: number
  readonly distinct: boolean
  readonly having: ((row: Row) => boolean) | undefined
  readonly isPartialAllowed: boolean
  readonly timeoutMs: number
  readonly concurrency: number
  readonly maxRows: number
  readonly signal: AbortSignal | undefined
}

/**
 * @param what - is asked for, as errors name it
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function queryPlan(what: 'query' | 'queryStream', given: ShardQueryOptions): QueryPlan {
  checkOptions(what, OPTIONS, given)
  const { merge, orderBy = [], limit, offset = 0, distinct = false, having, maxRows = 100_000 } = given
  const isMerged = typeof merge === 'object'
  if (offset > 0 && orderBy.length === 0)
    throw refused('offset needs orderBy: without an order nobody knows which rows are left out')
  if (having && !isMerged) throw refused('having is for merge: put the condition into WHERE')
  if (distinct && isMerged)
    throw refused('distinct and merge do not go together: merge leaves each group once')
  const columns = orderBy.map((part) => (typeof part === 'string' ? { column: part } : part))
  for (const { column } of columns)
    if (typeof (column as unknown) !== 'string') throw refused('orderBy needs a column in each entry')
  return {
    merge,
    orderBy: columns,
    limit,
    offset,
    distinct,
    having,
    isPartialAllowed: given.partial === 'allow',
    timeoutMs: duration(given.timeout ?? '30s', 'timeout'),
    concurrency: given.concurrency ?? 16,
    maxRows,
    signal: given.signal,
  }
}

function refused(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `query: ${message}`)
}
