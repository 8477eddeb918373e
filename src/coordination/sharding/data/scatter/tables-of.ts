import { isComma, isSymbol, isWord, KNOWING, split } from './clauses.js'
import { notMergeable } from './not-mergeable.js'
import type { Token } from './tokens.js'

/** What is known of the tables of an application. */
export interface KnownTables {
  /** Name of a sharded table to its key column. */
  readonly tables: Readonly<Record<string, { readonly key: string }>>
  /** Tables that are the same in every database. */
  readonly reference: readonly string[]
}

/** A table as the statement names it. */
export interface TableUse {
  /** Its alias, or its name. */
  readonly alias: string
  /** Its key column; undefined for a reference table. */
  readonly key: string | undefined
  /** Its columns may be null where no row of it has matched. */
  readonly isOptional: boolean
}

type Sides = 'inner' | 'left' | 'right' | 'full' | 'cross'

/**
 * Which tables a FROM joins.
 *
 * @throws `BANYAN_QUERY_NOT_MERGEABLE` where rows that belong together may be in two databases, or where that is not certain
 */
export function tablesOf(
  from: readonly Token[],
  known: KnownTables,
  engine: 'sqlite' | 'postgres',
): TableUse[] {
  const reader = new FromReader(from, known, engine)
  return reader.read()
}

class FromReader {
  readonly #tokens: readonly Token[]
  readonly #known: KnownTables
  readonly #engine: 'sqlite' | 'postgres'
  #at = 0
  #uses: TableUse[] = []

  constructor(tokens: readonly Token[], known: KnownTables, engine: 'sqlite' | 'postgres') {
    this.#tokens = tokens
    this.#known = known
    this.#engine = engine
  }

  read(): TableUse[] {
    const first = this.#table(false)
    this.#uses.push(first)
    while (this.#at < this.#tokens.length) this.#join()
    if (!this.#uses.some(({ key }) => key !== undefined))
      throw notMergeable(
        'the statement asks reference tables only, which are the same in every database: ask one, with read and any key',
      )
    return this.#uses
  }

  #join(): void {
    const sides = this.#sides()
    const isOuter = sides === 'left' || sides === 'right' || sides === 'full'
    const table = this.#table(sides === 'left' || sides === 'full')
    const condition = this.#condition()
    const before = this.#uses
    const sharded = before.filter(({ key }) => key !== undefined)
    if (isOuter && before[0]?.key === undefined)
      throw notMergeable(
        `an outer join that begins with a reference table gives its rows once for each database: begin with the sharded table${KNOWING}`,
      )
    if ((sides === 'right' || sides === 'full') && table.key === undefined)
      throw notMergeable(
        `a ${sides} join gives the rows of reference table ${table.alias} once for each database${KNOWING}`,
      )
    if (table.key !== undefined && sharded.length > 0 && !joinsKeys(condition, table, sharded, this.#engine))
      throw notMergeable(
        `rows of ${table.alias} and ${sharded.map(({ alias }) => alias).join(', ')} that belong together may be in two databases: join them by their shard keys, as in JOIN ... ON ${sharded[0]?.alias}.${sharded[0]?.key} = ${table.alias}.${table.key}${KNOWING}`,
      )
    this.#uses = [
      ...(sides === 'right' || sides === 'full'
        ? before.map((use) => ({ ...use, isOptional: true }))
        : before),
      table,
    ]
  }

  #sides(): Sides {
    const token = this.#next()
    if (isSymbol(token, ',')) return 'cross'
    let sides: Sides = 'inner'
    let word = token
    if (['inner', 'left', 'right', 'full', 'cross'].some((side) => isWord(token, side))) {
      sides = token?.text as Sides
      word = this.#next()
      if (isWord(word, 'outer')) word = this.#next()
    }
    if (!isWord(word, 'join'))
      throw notMergeable(
        `FROM has ${word?.text === undefined || word.text === '' ? 'something' : word.text} where a JOIN would be${KNOWING}`,
      )
    return sides
  }

  #table(isOptional: boolean): TableUse {
    let name = this.#next()
    if (isWord(name, 'only')) name = this.#next()
    if (isSymbol(this.#peek(), '.')) {
      this.#at++
      name = this.#next()
    }
    if (!name || (name.kind !== 'word' && name.kind !== 'name') || isSymbol(this.#peek(), '('))
      throw notMergeable(`FROM has what is no table of its own${KNOWING}`)
    const known = this.#find(name)
    let alias = name
    const next = this.#peek()
    if (isWord(next, 'as')) {
      this.#at++
      alias = this.#next() ?? name
    } else if (next?.kind === 'name' || (next?.kind === 'word' && !BEHIND_TABLES.has(next.text))) {
      this.#at++
      alias = next
    }
    return { alias: textOf(alias, this.#engine), key: known.key, isOptional }
  }

  #find(token: Token): { key: string | undefined } {
    const { tables, reference } = this.#known
    const wanted = textOf(token, this.#engine)
    const same = (name: string): boolean => (this.#engine === 'sqlite' ? name.toLowerCase() : name) === wanted
    const sharded = Object.keys(tables).find(same)
    if (sharded !== undefined) return { key: tables[sharded]?.key }
    if (reference.some(same)) return { key: undefined }
    throw notMergeable(
      `${wanted} is neither a sharded table (${Object.keys(tables).join(', ')}) nor a reference table${KNOWING}`,
    )
  }

  #condition(): Token[] {
    const condition: Token[] = []
    for (let token = this.#peek(); token; token = this.#peek()) {
      if (token.depth === 0 && (isComma(token) || (token.kind === 'word' && JOINS.has(token.text)))) break
      condition.push(token)
      this.#at++
    }
    return condition
  }

  #peek(): Token | undefined {
    return this.#tokens[this.#at]
  }

  #next(): Token | undefined {
    return this.#tokens[this.#at++]
  }
}

const JOINS = new Set(['inner', 'left', 'right', 'full', 'cross', 'natural', 'join'])
const BEHIND_TABLES = new Set([...JOINS, 'on', 'using', 'indexed', 'not'])

/** Whether a condition of a join makes sure that the shard keys of a table and of one before are the same. */
function joinsKeys(
  condition: readonly Token[],
  table: TableUse,
  before: readonly TableUse[],
  engine: 'sqlite' | 'postgres',
): boolean {
  const [what, ...rest] = condition
  if (isWord(what, 'using')) {
    const columns = rest
      .filter(({ kind }) => kind === 'word' || kind === 'name')
      .map((token) => textOf(token, engine))
    return before.every(({ key }) => key === table.key) && columns.includes(fold(table.key, engine))
  }
  // What stands between AND and AND is no condition of its own in a CASE, and behind a BETWEEN.
  const isUnsure = rest.some((token) => token.depth === 0 && (isWord(token, 'or') || isWord(token, 'case')))
  if (!isWord(what, 'on') || isUnsure) return false
  const parts = split(rest, (token) => isWord(token, 'and'))
  return parts.some((part, index) => {
    if (parts[index - 1]?.some((token) => token.depth === 0 && isWord(token, 'between'))) return false
    if (part.length !== 7 || !isSymbol(part[1], '.') || !isSymbol(part[3], '=') || !isSymbol(part[5], '.'))
      return false
    const [leftTable, leftColumn, rightTable, rightColumn] = [0, 2, 4, 6].map((index) =>
      textOf(part[index]!, engine),
    )
    const isKey = ({ alias, key }: TableUse, name?: string, column?: string): boolean =>
      alias === name && fold(key, engine) === column
    return before.some(
      (other) =>
        (isKey(table, leftTable, leftColumn) && isKey(other, rightTable, rightColumn)) ||
        (isKey(table, rightTable, rightColumn) && isKey(other, leftTable, leftColumn)),
    )
  })
}

/** A name as the engine compares it. */
export function textOf({ kind, text }: Token, engine: 'sqlite' | 'postgres'): string {
  return kind === 'name' && engine === 'postgres' ? text : text.toLowerCase()
}

function fold(name: string | undefined, engine: 'sqlite' | 'postgres'): string {
  return engine === 'sqlite' ? (name ?? '').toLowerCase() : (name ?? '')
}

/** Whether a piece of a statement is the shard key of a table that has one in every row. */
export function isShardKey(
  item: readonly Token[],
  uses: readonly TableUse[],
  engine: 'sqlite' | 'postgres',
): boolean {
  const certain = uses.filter(({ key, isOptional }) => key !== undefined && !isOptional)
  const [first, point, column] = item
  if (!first || first.kind === 'value' || first.kind === 'symbol') return false
  if (item.length === 1) return certain.some(({ key }) => fold(key, engine) === textOf(first, engine))
  if (item.length !== 3 || !column || !isSymbol(point, '.')) return false
  return certain.some(
    ({ alias, key }) => alias === textOf(first, engine) && fold(key, engine) === textOf(column, engine),
  )
}
