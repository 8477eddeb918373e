import type { OptionTable } from '../../../../core/options.js'

/** How rows of several databases that belong to one group become one. */
export interface MergeOptions {
  /** Columns of the answer that say which group a row is of, as in the `GROUP BY` of the statement. Default: all rows are one group. */
  groupBy?: string[]
  /** Columns with a `sum(...)` or `count(...)`: added up; null if all are null. */
  sum?: string[]
  /** Columns with a `count(...)`: added up, 0 if there are none. */
  count?: string[]
  /** Columns with a `min(...)`. */
  min?: (string | Extreme)[]
  /** Columns with a `max(...)`. */
  max?: (string | Extreme)[]
  /** Averages by the name they get: the column with the `sum(...)` of what is averaged, and that with its `count(...)`. They are added up, too. */
  avg?: Record<string, { sum: string; count: string }>
  /** Do not check that the statement fits: for who knows that it does. Default false. */
  unchecked?: boolean
}

/** A column with a `min(...)` or `max(...)` of values that this process would compare otherwise than the databases do. */
export interface Extreme {
  column: string
  /** As the databases compare; never sees null. */
  compare: (a: unknown, b: unknown) => number
}

const columns = (doc: string) =>
  ({ kind: 'list', of: { kind: 'string', doc: 'A column of the answer.' }, doc }) as const

const extremes = (doc: string) =>
  ({
    kind: 'list',
    of: {
      kind: 'either',
      of: [
        { kind: 'string', doc: 'A column of the answer.' },
        {
          kind: 'group',
          options: {
            column: { kind: 'string', doc: 'A column of the answer.' },
            compare: { kind: 'code', type: 'function', doc: 'Compares as the databases do.' },
          },
          doc: 'A column and how its values compare.',
        },
      ],
      doc: 'A column of the answer.',
    },
    doc,
  }) as const

export const MERGE_TABLE: OptionTable<MergeOptions> = {
  groupBy: columns('Columns that say which group a row is of.'),
  sum: columns('Columns that are added up.'),
  count: columns('Columns that are added up, 0 if there are none.'),
  min: extremes('Columns of which the least is taken.'),
  max: extremes('Columns of which the greatest is taken.'),
  avg: { kind: 'code', type: 'object', doc: 'Averages: name to { sum, count }.' },
  unchecked: { kind: 'boolean', doc: 'Do not check that the statement fits.' },
}
