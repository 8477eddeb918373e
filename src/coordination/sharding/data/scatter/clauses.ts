import { notMergeable } from './not-mergeable.js'
import { tokensOf, type Token } from './tokens.js'

/** A statement cut into its clauses, at the words that stand in no parentheses. */
export interface Clauses {
  /** Without a semicolon at its end. */
  readonly sql: string
  readonly tokens: readonly Token[]
  readonly isDistinct: boolean
  readonly select: readonly Token[]
  readonly from: readonly Token[]
  readonly groupBy: readonly Token[]
  readonly having: readonly Token[]
}

const CLAUSES = ['select', 'from', 'where', 'group', 'having'] as const
type Clause = (typeof CLAUSES)[number]

/** What a statement over several databases may not have where it is, and what is written instead. */
const REFUSED: Readonly<Record<string, string>> = {
  order: 'ORDER BY orders the rows of each database apart: give orderBy as an option instead',
  limit: 'LIMIT counts the rows of each database apart: give limit as an option instead',
  offset: 'OFFSET counts the rows of each database apart: give offset as an option instead',
  fetch: 'FETCH FIRST counts the rows of each database apart: give limit as an option instead',
  for: 'rows are not locked by a query over several databases: leave FOR out',
  into: 'a query over several databases only reads: leave INTO out',
  window: 'a window sees the rows of one database only: compute it from the rows that come back',
}

const ANYWHERE: Readonly<Record<string, string>> = {
  union: 'UNION compares the rows of one database only: ask for each part by itself',
  intersect: 'INTERSECT compares the rows of one database only: ask for each part by itself',
  except: 'EXCEPT compares the rows of one database only: ask for each part by itself',
  over: 'a window function sees the rows of one database only: compute it from the rows that come back',
  lateral: 'LATERAL joins with rows of the same database only',
  tablesample: 'TABLESAMPLE draws from one database only',
  table: 'TABLE sees the rows of one database only: ask for it by itself, or join',
}

/**
 * Cuts a statement, at the end of which a semicolon may be.
 *
 * @throws `BANYAN_QUERY_NOT_MERGEABLE`
 */
export function statementOf(sql: string, engine: 'sqlite' | 'postgres'): { sql: string; tokens: Token[] } {
  const tokens = tokensOf(sql, engine)
  let end = sql.length
  while (tokens.at(-1)?.text === ';' && tokens.at(-1)?.kind === 'symbol') end = tokens.pop()?.start ?? end
  if (tokens.length === 0) throw notMergeable('there is no statement')
  if (tokens.some(({ kind, text }) => kind === 'symbol' && text === ';'))
    throw notMergeable('there is more than one statement: ask one by one')
  return { sql: sql.slice(0, end), tokens }
}

/** @throws `BANYAN_QUERY_NOT_MERGEABLE` for what is no plain `SELECT ... FROM ... WHERE ... GROUP BY ... HAVING ...` */
export function clausesOf(
  { sql, tokens }: { sql: string; tokens: readonly Token[] },
  engine: 'sqlite' | 'postgres',
): Clauses {
  const [first, ...rest] = tokens
  if (first?.kind !== 'word' || first.text !== 'select')
    throw notMergeable(
      `a query over several databases is a SELECT, this begins with ${sql.slice(first?.start, first?.end)}${KNOWING}`,
    )
  const parts: Record<Clause, Token[]> = { select: [], from: [], where: [], group: [], having: [] }
  let clause: Clause = 'select'
  for (const [index, token] of rest.entries()) {
    if (token.kind === 'word') {
      const { text, depth } = token
      if (text === 'select')
        throw notMergeable(
          `a SELECT in the statement sees the rows of one database only: ask for it by itself, or join${KNOWING}`,
        )
      // In PostgreSQL a name stands there in position('a' in name) only. SQLite takes a text for a name, too.
      if (
        engine === 'sqlite' &&
        text === 'in' &&
        !isSymbol(rest[index + 1], '(') &&
        !isAfterPoint(rest, index)
      )
        throw notMergeable(
          `IN with the name of a table or view sees the rows of one database only: ask for it by itself, or join${KNOWING}`,
        )
      const why = ANYWHERE[text] ?? (depth === 0 ? REFUSED[text] : undefined)
      // A name behind a point is that of a column.
      if (why !== undefined && !isAfterPoint(rest, index)) throw notMergeable(`${why}${KNOWING}`)
      // IS DISTINCT FROM is no clause.
      const isClause = depth === 0 && !(text === 'from' && isWord(rest[index - 1], 'distinct') && index > 1)
      const next = isClause ? CLAUSES.indexOf(text as Clause) : -1
      if (next > CLAUSES.indexOf(clause) && !isAfterPoint(rest, index)) {
        clause = CLAUSES[next]!
        continue
      }
    }
    parts[clause].push(token)
  }
  const isDistinct = isWord(parts.select[0], 'distinct')
  if (isDistinct && isWord(parts.select[1], 'on'))
    throw notMergeable(`DISTINCT ON sees the rows of one database only${KNOWING}`)
  const groupBy = parts.group.slice(1)
  return {
    sql,
    tokens,
    isDistinct,
    select: isDistinct || isWord(parts.select[0], 'all') ? parts.select.slice(1) : parts.select,
    from: parts.from,
    groupBy,
    having: parts.having,
  }
}

/** At the end of a refusal: how to say that one knows better. */
export const KNOWING =
  ". If the rows of all databases together are the answer nevertheless, say so with merge: 'concat', or with unchecked in merge"

export function isWord(token: Token | undefined, text: string): boolean {
  return token?.kind === 'word' && token.text === text
}

export function isSymbol(token: Token | undefined, text: string): boolean {
  return token?.kind === 'symbol' && token.text === text
}

/** Cuts at commas, or at a word, that stand in no more parentheses than the first piece. */
export function split(tokens: readonly Token[], at: (token: Token) => boolean, depth = 0): Token[][] {
  const parts: Token[][] = [[]]
  for (const token of tokens) {
    if (token.depth === depth && at(token)) parts.push([])
    else parts.at(-1)?.push(token)
  }
  return parts
}

export const isComma = (token: Token): boolean => isSymbol(token, ',')

function isAfterPoint(tokens: readonly Token[], index: number): boolean {
  return isSymbol(tokens[index - 1], '.')
}
