import { notMergeable } from './not-mergeable.js'

/** A piece of a statement. What is no word of SQL (texts, numbers, parameters) matters only in that it is none. */
export interface Token {
  readonly kind: 'word' | 'name' | 'symbol' | 'value'
  /** Words in small letters; names as they are, without their quotes; symbols. Of values nothing. */
  readonly text: string
  /** How many parentheses are open around it; of a parenthesis, around what is in it. */
  readonly depth: number
  readonly start: number
  readonly end: number
}

/** One after the other, at `lastIndex`. */
const SPACE = { sqlite: /\s+|--[^\n]*/y, postgres: /\s+|--[^\n\r]*/y }
const WORD = /[\p{L}_][\p{L}\p{N}_$]*/uy
const NUMBER = /0x[\da-f_]+|0[ob][0-7_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:e[+-]?\d[\d_]*)?/iy
/** Not one letter more than the engine takes: `?1limit 5` has a limit, and in PostgreSQL `@sum(x)` a sum. */
const PARAMETER = { sqlite: /\?\d*|[:@$][\p{L}\p{N}_$]+/uy, postgres: /\$\d+/y }
const DOLLAR_QUOTE = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy

/**
 * Cuts a statement into its pieces, and no more: it is not understood here.
 *
 * @throws `BANYAN_QUERY_NOT_MERGEABLE` where it is not certain how the engine cuts it
 */
export function tokensOf(sql: string, engine: 'sqlite' | 'postgres'): Token[] {
  const tokens: Token[] = []
  let at = 0
  let depth = 0
  /** The last text with an E before it, or behind such a one. */
  let escaped: Token | undefined
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at
    return pattern.exec(sql)?.[0]
  }
  const take = (kind: Token['kind'], text: string, end: number): void => {
    tokens.push({ kind, text, depth, start: at, end })
    at = end
  }
  while (at < sql.length) {
    const space = match(SPACE[engine])
    if (space !== undefined) {
      at += space.length
      continue
    }
    const letter = sql.charAt(at)
    if (sql.startsWith('/*', at)) {
      at = endOfComment(sql, at)
      continue
    }
    if (letter === "'") {
      // Backslashes mean something in PostgreSQL only behind an E, and where such a text goes on in another line.
      const before = tokens.at(-1)
      const isEscaped =
        engine === 'postgres' &&
        before !== undefined &&
        (before === escaped || (before.kind === 'word' && before.text === 'e' && before.end === at))
      take('value', '', endOfQuoted(sql, at, "'", isEscaped))
      if (isEscaped) escaped = tokens.at(-1)
      continue
    }
    if (letter === '"' || (engine === 'sqlite' && letter === '`')) {
      const end = endOfQuoted(sql, at, letter, false)
      take('name', sql.slice(at + 1, end - 1).replaceAll(letter + letter, letter), end)
      continue
    }
    if (engine === 'sqlite' && letter === '[') {
      const end = sql.indexOf(']', at)
      if (end === -1) throw unclosed('[')
      take('name', sql.slice(at + 1, end), end + 1)
      continue
    }
    const dollarQuote = engine === 'postgres' ? match(DOLLAR_QUOTE) : undefined
    if (dollarQuote !== undefined) {
      const end = sql.indexOf(dollarQuote, at + dollarQuote.length)
      if (end === -1) throw unclosed(dollarQuote)
      take('value', '', end + dollarQuote.length)
      continue
    }
    if (engine === 'postgres' && sql.startsWith('::', at)) {
      take('symbol', '::', at + 2)
      continue
    }
    const word = match(WORD)
    if (word !== undefined) {
      take('word', word.toLowerCase(), at + word.length)
      continue
    }
    const parameter = match(PARAMETER[engine])
    if (parameter !== undefined) {
      take('value', '', at + parameter.length)
      continue
    }
    const number = match(NUMBER)
    if (number !== undefined) {
      take('value', '', at + number.length)
      // Some engines begin a new word there, others do not.
      if (match(WORD) !== undefined)
        throw notMergeable(
          `the statement has a number that goes on with a letter, at ${number}: put a space between`,
        )
      continue
    }
    if (letter === ')') depth--
    if (depth < 0) throw notMergeable('the statement closes a parenthesis that is not open')
    if (letter === ')') {
      tokens.push({ kind: 'symbol', text: ')', depth: depth + 1, start: at, end: ++at })
      continue
    }
    if (letter === '(') depth++
    take('symbol', letter, at + 1)
  }
  if (depth > 0) throw unclosed('(')
  return tokens
}

function endOfQuoted(sql: string, start: number, quote: string, isEscaped: boolean): number {
  for (let at = start + 1; at < sql.length; at++) {
    const letter = sql.charAt(at)
    if (isEscaped && letter === '\\') at++
    else if (letter === quote) {
      if (sql.charAt(at + 1) !== quote) return at + 1
      at++
    }
  }
  throw unclosed(quote)
}

function endOfComment(sql: string, start: number): number {
  const end = sql.indexOf('*/', start + 2)
  if (end === -1) throw unclosed('/*')
  // PostgreSQL counts comments in comments, SQLite does not.
  if (sql.slice(start + 2, end).includes('/*'))
    throw notMergeable('the statement has a comment in a comment: leave one out')
  return end + 2
}

function unclosed(what: string): Error {
  return notMergeable(`the statement has a ${what} that is not closed`)
}
