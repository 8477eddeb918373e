import { BanyanError } from '../../../../core/errors.js'
import { Expression, type Reference, type Scope } from './expression.js'
import { textOf } from './json.js'

/** Where in a template something stands. */
export type TemplatePath = readonly (string | number)[]

/** Something wrong in a template. */
export interface TemplateProblem {
  path: TemplatePath
  message: string
}

/** How deep a template may be. */
const MOST_DEPTH = 32

type Part = string | Expression

/**
 * A value with holes: any JSON in which text may hold `$(expression)`. Text that is nothing but one expression becomes
 * its value, of whatever type; within other text values are written as text. `$$(` stands for the text `$(`.
 */
export class Template {
  readonly references: readonly Reference[]
  readonly #evaluate: (scope: Scope) => unknown

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` for the first of {@link templateProblems} */
  constructor(value: unknown) {
    const expressions: Expression[] = []
    this.#evaluate = compileValue(value, expressions)
    this.references = expressions.flatMap(({ references }) => references)
  }

  /** @throws `Error` if an expression cannot be evaluated */
  evaluate(scope: Scope): unknown {
    return this.#evaluate(scope)
  }
}

/** Text with holes whose values are put in with an encoding of their own, such as a path. */
export class TextTemplate {
  readonly references: readonly Reference[]
  readonly #parts: readonly Part[]

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if an expression is not valid */
  constructor(text: string) {
    this.#parts = splitText(text)
    this.references = this.#parts.flatMap((part) => (typeof part === 'string' ? [] : part.references))
  }

  /** What stands between the expressions, joined. */
  get literal(): string {
    return this.#parts.filter((part) => typeof part === 'string').join('')
  }

  /** @param encode - gets every value, and makes text of it */
  render(scope: Scope, encode: (value: unknown) => string): string {
    return this.#parts
      .map((part) => (typeof part === 'string' ? part : encode(part.evaluate(scope))))
      .join('')
  }
}

/** Everything that is wrong in a template, with its place. */
export function templateProblems(value: unknown, path: TemplatePath = []): TemplateProblem[] {
  if (path.length > MOST_DEPTH) return [{ path, message: `is deeper than ${MOST_DEPTH} levels` }]
  if (typeof value === 'string') {
    try {
      splitText(value)
      return []
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      return [{ path, message: error.message }]
    }
  }
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, each]) =>
    templateProblems(each, [...path, Array.isArray(value) ? Number(key) : key]),
  )
}

function compileValue(value: unknown, found: Expression[], depth = 0): (scope: Scope) => unknown {
  if (depth > MOST_DEPTH) {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `a template is deeper than ${MOST_DEPTH} levels`)
  }
  if (typeof value === 'string') return compileText(splitText(value), found)
  if (Array.isArray(value)) {
    const items = value.map((item) => compileValue(item, found, depth + 1))
    return (scope) => items.map((item) => item(scope))
  }
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).map(
      ([key, member]) => [key, compileValue(member, found, depth + 1)] as const,
    )
    return (scope) => Object.fromEntries(members.map(([key, member]) => [key, member(scope)]))
  }
  return () => value
}

function compileText(parts: readonly Part[], found: Expression[]): (scope: Scope) => unknown {
  for (const part of parts) if (typeof part !== 'string') found.push(part)
  const [only] = parts
  if (only === undefined) return () => ''
  if (parts.length === 1) return typeof only === 'string' ? () => only : (scope) => only.evaluate(scope)
  return (scope) =>
    parts.map((part) => (typeof part === 'string' ? part : textOf(part.evaluate(scope)))).join('')
}

function splitText(text: string): Part[] {
  const parts: Part[] = []
  let literal = ''
  let index = 0
  while (index < text.length) {
    const next = text.indexOf('$', index)
    if (next < 0) break
    literal += text.slice(index, next)
    if (text.startsWith('$$(', next)) {
      literal += '$('
      index = next + 3
    } else if (text[next + 1] === '(') {
      const end = endOf(text, next + 2)
      if (literal !== '') parts.push(literal)
      literal = ''
      parts.push(new Expression(text.slice(next + 2, end).trim()))
      index = end + 1
    } else {
      literal += '$'
      index = next + 1
    }
  }
  literal += text.slice(index)
  if (literal !== '') parts.push(literal)
  return parts
}

/** Where the parenthesis closes that was open before `start`; those within quotes do not count. */
function endOf(text: string, start: number): number {
  let depth = 1
  for (let index = start; index < text.length; index++) {
    const character = text[index]!
    if (character === '(') depth++
    else if (character === ')' && --depth === 0) return index
    else if (character === "'" || character === '"' || character === '`') {
      do index++
      while (index < text.length && (text[index] !== character || text[index - 1] === '\\'))
    }
  }
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `\`${text}\`: the expression \`$(\` is not closed; write \`$$(\` for the text itself`,
  )
}
