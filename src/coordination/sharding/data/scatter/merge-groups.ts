import type { Column, Row } from '../store.js'
import { VALUE_ORDERS, type ValueOrder } from './compare-values.js'
import { identityOf } from './identity.js'
import type { Extreme, MergeOptions } from './merge-options.js'
import { notMergeable } from './not-mergeable.js'
import type { AnswerShape } from './order.js'
import { Sum } from './sum.js'
import { tooLarge } from './too-large.js'

/** Takes in the values of one column, row by row. */
interface Accumulator {
  add(value: unknown): void
  readonly value: unknown
}

interface Group {
  readonly row: Row
  readonly accumulators: Accumulator[]
}

/** Rows of several databases, by group, each column merged as it must be. */
export class GroupMerger {
  readonly #keys: readonly Column[]
  readonly #merged: readonly { readonly column: string; readonly make: () => Accumulator }[]
  readonly #averages: readonly (readonly [string, { sum: string; count: string }])[]
  readonly #isOneGroup: boolean
  readonly #limit: number
  readonly #groups = new Map<string, Group>()

  /**
   * @param limit - groups at most
   * @throws `BANYAN_QUERY_NOT_MERGEABLE` for columns that are not there, or of which nothing is said
   */
  constructor(merge: MergeOptions, { columns, engine }: AnswerShape, limit: number) {
    const made = accumulators(merge)
    const { groupBy = [] } = merge
    const find = (name: string): Column => {
      const found = columns.find((column) => column.name === name)
      if (found) return found
      throw notMergeable(
        `merge names ${name}, which is no column of the answer; it has ${columns.map((column) => column.name).join(', ')}`,
      )
    }
    this.#keys = groupBy.map(find)
    this.#merged = [...made].map(([name, make]) => {
      const column = find(name)
      return { column: name, make: () => make(column, engine) }
    })
    // What is wrong with a column is to be said before there are rows.
    for (const { make } of this.#merged) make()
    const left = columns.filter(({ name }) => !made.has(name) && !groupBy.includes(name))
    if (left.length > 0)
      throw notMergeable(
        `merge does not say what becomes of ${left.map(({ name }) => name).join(', ')}: name each column in groupBy, sum, count, min, max or avg, or leave it out of the statement`,
      )
    this.#averages = Object.entries(merge.avg ?? {})
    this.#isOneGroup = groupBy.length === 0
    this.#limit = limit
  }

  /** @param rows - all that one database has answered */
  add(shard: string, rows: readonly Row[]): void {
    const seen = new Set<string>()
    for (const row of rows) {
      const identity = identityOf(row, this.#keys)
      if (seen.has(identity))
        throw notMergeable(
          this.#isOneGroup
            ? `database ${shard} gave more than one row, but merge has no groupBy: name the columns of GROUP BY`
            : `database ${shard} gave two rows of one group: groupBy must name the columns of GROUP BY, and values that differ must look different in this process (times only to the millisecond)`,
        )
      seen.add(identity)
      let group = this.#groups.get(identity)
      if (!group) {
        if (this.#groups.size >= this.#limit) throw tooLarge(this.#limit, 'groups')
        group = { row, accumulators: this.#merged.map(({ make }) => make()) }
        this.#groups.set(identity, group)
      }
      for (const [index, { column }] of this.#merged.entries()) group.accumulators[index]?.add(row[column])
    }
  }

  /** One row for each group, in the order in which they were first seen. */
  rows(): Row[] {
    return [...this.#groups.values()].map(({ row: first, accumulators: made }) => {
      const row = { ...first }
      for (const [index, { column }] of this.#merged.entries()) row[column] = made[index]?.value
      for (const [name, { sum, count }] of this.#averages) {
        const total = row[sum]
        row[name] = total === null || Number(row[count]) === 0 ? null : Number(total) / Number(row[count])
      }
      return row
    })
  }

  /** Of the columns that are made here. */
  get ownColumns(): Column[] {
    return this.#averages.map(([name]) => ({ name, kind: 'float' }))
  }
}

type Make = (column: Column, engine: AnswerShape['engine']) => Accumulator

/** How each column is merged. */
function accumulators({
  groupBy = [],
  sum = [],
  count = [],
  min = [],
  max = [],
  avg = {},
}: MergeOptions): Map<string, Make> {
  const made = new Map<string, Make>()
  const set = (column: string, make: Make): void => {
    if (made.has(column) || groupBy.includes(column))
      throw notMergeable(`merge names ${column} twice: a column is merged in one way`)
    made.set(column, make)
  }
  for (const column of sum) set(column, sumOf)
  for (const column of count) set(column, () => new Count())
  for (const entry of min)
    set(nameOf(entry), (column, engine) => new Outermost(orderOf(entry, column, engine, 'min'), -1))
  for (const entry of max)
    set(nameOf(entry), (column, engine) => new Outermost(orderOf(entry, column, engine, 'max'), 1))
  for (const [name, { sum: total, count: number }] of Object.entries(avg)) {
    if (!made.has(total)) set(total, sumOf)
    if (!made.has(number)) set(number, () => new Count())
    if (made.has(name) || groupBy.includes(name))
      throw notMergeable(`merge.avg makes ${name}, which is a column of the answer`)
  }
  return made
}

const NUMBERS: readonly Column['kind'][] = ['any', 'integer', 'decimal', 'float']

function sumOf({ name, kind }: Column): Sum {
  if (NUMBERS.includes(kind)) return new Sum()
  throw notMergeable(
    `${name} is of a type that only the database can add up: select a number of it, or the rows`,
  )
}

class Count implements Accumulator {
  readonly #sum = new Sum()

  add(value: unknown): void {
    this.#sum.add(value)
  }

  get value(): unknown {
    return this.#sum.value ?? 0
  }
}

class Outermost implements Accumulator {
  readonly #order: ValueOrder
  readonly #sign: number
  value: unknown = null

  constructor(order: ValueOrder, sign: number) {
    this.#order = order
    this.#sign = sign
  }

  add(value: unknown): void {
    if (value === null || value === undefined) return
    const { of, compare } = this.#order
    if (this.value === null || compare(of(value), of(this.value)) * this.#sign > 0) this.value = value
  }
}

function nameOf(entry: string | Extreme): string {
  return typeof entry === 'string' ? entry : entry.column
}

function orderOf(
  entry: string | Extreme,
  { name, kind }: Column,
  engine: AnswerShape['engine'],
  what: 'min' | 'max',
): ValueOrder {
  if (typeof entry !== 'string') {
    const { compare } = entry
    return { of: (value) => value as string, compare }
  }
  if (kind === 'other' || (kind === 'text' && engine === 'postgres'))
    throw notMergeable(
      `${what} of ${name} depends on its ${kind === 'text' ? 'collation' : 'type'}, which only the database knows: give { column: '${name}', compare } with a compare that agrees with it`,
    )
  return VALUE_ORDERS[kind]
}
