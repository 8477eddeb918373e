import { isObject } from './schema/is-object.js'

/** Finds what a path leads to in a value: in order, nothing where there is nothing. */
export type JsonPath = (root: unknown) => readonly unknown[]

type Step = (at: unknown, root: unknown) => readonly unknown[]
type Compare = (left: unknown, right: unknown) => boolean

const COMPARISONS: Readonly<Record<string, Compare>> = {
  '==': (left, right) => left === right,
  '!=': (left, right) => left !== right,
  '<=': (left, right) => order(left, right) <= 0,
  '>=': (left, right) => order(left, right) >= 0,
  '<': (left, right) => order(left, right) < 0,
  '>': (left, right) => order(left, right) > 0,
}

const WORD = /(?:[^\\.[\]()\s'"=<>!?@$*,]|\\.)+/y
const NUMBER = /-?\d+(?:\.\d+)?/y
const TEXT = /'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)"/y
const COMPARISON = /==|!=|<=|>=|<|>/y
const LITERAL = /true|false|null/y
const SLICE = /(-?\d+)?:(-?\d+)?(?::(\d+))?/y

/**
 * Compiles a path of JSON, in the dialect of Kubernetes' printer columns: `.status.conditions[?(@.type=="Ready")].status`,
 * `.spec.steps[0].name`, `[-1:]`, `[*]`, `.*`, `['a key']`, `.a\.b`, `..name`. A dot at its beginning may be left out.
 *
 * @throws `SyntaxError` that says where it cannot be read
 */
export function compileJsonPath(text: string): JsonPath {
  const reader = new Reader(text)
  const path = readPath(reader, '')
  if (!reader.atEnd) throw reader.mistake('a dot or a bracket')
  return (root) => path(root, root)
}

/** The characters of a path that were not read yet. */
class Reader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  get atEnd(): boolean {
    return this.#at === this.#text.length
  }

  /** Goes on behind it, if it comes next. */
  takes(token: string): boolean {
    if (!this.#text.startsWith(token, this.#at)) return false
    this.#at += token.length
    return true
  }

  expect(token: string): void {
    if (!this.takes(token)) throw this.mistake(token)
  }

  /** Goes on behind what matches, if something does. */
  match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at
    const match = pattern.exec(this.#text) ?? undefined
    this.#at += match?.[0].length ?? 0
    return match
  }

  skipSpace(): void {
    this.match(/\s*/y)
  }

  mistake(wanted: string): SyntaxError {
    return new SyntaxError(`${this.#text}: expected ${wanted} at character ${this.#at + 1}`)
  }
}

/** @param start - what it begins at: `@` or `$` in a filter; nothing for the whole path */
function readPath(reader: Reader, start: '' | '@' | '$'): Step {
  const steps: Step[] = []
  const first = start === '' ? reader.match(WORD) : undefined
  if (first) steps.push(child(unescape(first[0])))
  for (let step = readStep(reader); step; step = readStep(reader)) steps.push(step)
  if (steps.length === 0 && start === '') throw reader.mistake('a name')
  return (at, root) => {
    let found: readonly unknown[] = [start === '$' ? root : at]
    for (const step of steps) found = found.flatMap((value) => step(value, root))
    return found
  }
}

function readStep(reader: Reader): Step | undefined {
  if (reader.takes('..')) return deep(reader.takes('*') ? children : readName(reader))
  if (reader.takes('.')) return reader.takes('*') ? children : readName(reader)
  if (!reader.takes('[')) return undefined
  const step = readBracket(reader)
  reader.expect(']')
  return step
}

function readName(reader: Reader): Step {
  const word = reader.match(WORD)
  if (!word) throw reader.mistake('a name')
  return child(unescape(word[0]))
}

function readBracket(reader: Reader): Step {
  if (reader.takes('*')) return children
  if (reader.takes('?(')) {
    const step = filter(readCondition(reader))
    reader.expect(')')
    return step
  }
  const steps = [readSelector(reader)]
  while (reader.takes(',')) {
    reader.skipSpace()
    steps.push(readSelector(reader))
  }
  return (at, root) => steps.flatMap((step) => step(at, root))
}

function readSelector(reader: Reader): Step {
  const text = readText(reader)
  if (text !== undefined) return child(text)
  const slice = reader.match(SLICE)
  if (slice) return sliceOf(slice[1], slice[2], slice[3])
  const index = reader.match(NUMBER)
  if (index && Number.isInteger(Number(index[0]))) return item(Number(index[0]))
  throw reader.mistake('a number, a name in quotes, * or ?(')
}

function readCondition(reader: Reader): (at: unknown, root: unknown) => boolean {
  reader.skipSpace()
  const left = readOperand(reader)
  reader.skipSpace()
  const comparison = reader.match(COMPARISON)
  if (!comparison) return (at, root) => left(at, root).length > 0
  const compare = COMPARISONS[comparison[0]]!
  reader.skipSpace()
  const right = readOperand(reader)
  reader.skipSpace()
  return (at, root) => {
    const [one] = left(at, root)
    const [other] = right(at, root)
    return one !== undefined && other !== undefined && compare(one, other)
  }
}

function readOperand(reader: Reader): Step {
  if (reader.takes('@')) return readPath(reader, '@')
  if (reader.takes('$')) return readPath(reader, '$')
  const text = readText(reader)
  if (text !== undefined) return () => [text]
  const literal = reader.match(LITERAL) ?? reader.match(NUMBER)
  if (!literal) throw reader.mistake('@, a number or a text in quotes')
  const value: unknown = JSON.parse(literal[0])
  return () => [value]
}

function readText(reader: Reader): string | undefined {
  const match = reader.match(TEXT)
  return match && unescape(match[1] ?? match[2] ?? '')
}

function child(name: string): Step {
  return (at) => (isObject(at) && Object.hasOwn(at, name) ? [at[name]] : [])
}

function item(index: number): Step {
  return (at) => {
    const found = Array.isArray(at) ? children(at).at(index) : undefined
    return found === undefined ? [] : [found]
  }
}

function sliceOf(from: string | undefined, to: string | undefined, step: string | undefined): Step {
  const begin = Number(from ?? 0)
  const end = to === undefined ? undefined : Number(to)
  const each = Math.max(1, Number(step ?? 1))
  return (at) =>
    Array.isArray(at) ? children(at.slice(begin, end)).filter((_, index) => index % each === 0) : []
}

function filter(holds: (at: unknown, root: unknown) => boolean): Step {
  return (at, root) => children(at).filter((value) => holds(value, root))
}

/** A step from a value and from everything in it. */
function deep(step: Step): Step {
  return (at, root) => [...step(at, root), ...children(at).flatMap((value) => deep(step)(value, root))]
}

function children(at: unknown): readonly unknown[] {
  if (Array.isArray(at)) return at as readonly unknown[]
  return isObject(at) ? Object.values(at) : []
}

function unescape(text: string): string {
  return text.replace(/\\(.)/g, '$1')
}

/** Which comes first; `NaN`, of which nothing is true, if they cannot be compared. */
function order(left: unknown, right: unknown): number {
  if (typeof left === 'number' && typeof right === 'number') return left - right
  if (typeof left === 'string' && typeof right === 'string') return left < right ? -1 : Number(left > right)
  return NaN
}
