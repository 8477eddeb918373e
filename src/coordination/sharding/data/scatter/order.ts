import type { Column, Row } from '../store.js'
import { NOCASE, VALUE_ORDERS, type Comparable, type ValueOrder } from './compare-values.js'
import { notMergeable } from './not-mergeable.js'

/** What rows are put in order by. */
export interface OrderBy {
  /** Name of a column of the answer. */
  column: string
  /** Default `'asc'`. */
  direction?: 'asc' | 'desc'
  /** Where rows without a value are. Default: as the engine has it, which is first in SQLite and last in PostgreSQL, and the other end for `'desc'`. */
  nulls?: 'first' | 'last'
  /**
   * Collation that is sent to the databases. Without `compare`: `'binary'` or `'nocase'` with SQLite, `'C'` with PostgreSQL. Default: that
   * by bytes, `'binary'` and `'C'`, whatever the collation of the column.
   */
  collate?: string
  /** Puts two values in the same order as the databases do, ascending: for other collations, and types that only the engine knows. Never sees null. */
  compare?: (a: unknown, b: unknown) => number
}

/** A row as it is compared. */
export type SortKey = readonly (Comparable | null)[]

interface Part {
  readonly column: string
  readonly isDescending: boolean
  readonly nullsFirst: boolean
  readonly values: ValueOrder
}

/** The order of the rows of an answer: that in which each of the databases gives them. */
export class Order {
  readonly #parts: readonly Part[]

  constructor(by: readonly OrderBy[], answer: AnswerShape) {
    this.#parts = by.map((part) => ({
      column: part.column,
      isDescending: part.direction === 'desc',
      nullsFirst: nullsFirst(part, answer.engine),
      values: valueOrder(part, answer),
    }))
  }

  keyOf(row: Row): SortKey {
    return this.#parts.map(({ column, values }) => {
      const value = row[column]
      return value === null || value === undefined ? null : values.of(value)
    })
  }

  compare(a: SortKey, b: SortKey): number {
    for (const [index, { isDescending, nullsFirst, values }] of this.#parts.entries()) {
      const left = a[index] ?? null
      const right = b[index] ?? null
      if (left === null || right === null) {
        if (left === right) continue
        return (left === null) === nullsFirst ? -1 : 1
      }
      const order = values.compare(left, right)
      if (order !== 0) return isDescending ? -order : order
    }
    return 0
  }

  /** What is wrong if a database has given these two rows one after the other. */
  mistaken(shard: string, before: Row, after: Row): Error {
    const show = (row: Row): string =>
      this.#parts.map(({ column }) => JSON.stringify(shown(row[column]))).join(', ')
    const columns = this.#parts.map(({ column }) => column).join(', ')
    return notMergeable(
      `database ${shard} gave ${show(before)} before ${show(after)} (${columns}), which is not the order they are merged in: the values are of a type or collation that this process compares otherwise; give orderBy a compare, or order by another column`,
    )
  }
}

/** What is known of an answer before its rows. */
export interface AnswerShape {
  readonly engine: 'sqlite' | 'postgres'
  readonly columns: readonly Column[]
}

/** Where nulls are, said or not. */
export function nullsFirst(
  { direction, nulls }: Pick<OrderBy, 'direction' | 'nulls'>,
  engine: 'sqlite' | 'postgres',
): boolean {
  if (nulls !== undefined) return nulls === 'first'
  return (engine === 'sqlite') === (direction !== 'desc')
}

function valueOrder({ column, collate, compare }: OrderBy, { columns, engine }: AnswerShape): ValueOrder {
  const found = columns.find(({ name }) => name === column)
  if (!found)
    throw notMergeable(
      `orderBy names ${column}, which is no column of the answer; it has ${columns.map(({ name }) => name).join(', ')}`,
    )
  if (compare) return { of: (value) => value as Comparable, compare: (a, b) => compare(a, b) }
  if (collate === 'nocase' && engine === 'sqlite') return NOCASE
  if (found.kind === 'other')
    throw notMergeable(
      `${column} has a type whose order only the engine knows: give orderBy a compare that puts two of its values in the same order, or order by another column`,
    )
  return VALUE_ORDERS[found.kind]
}

function shown(value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}
