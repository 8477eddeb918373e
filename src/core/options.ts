import { DURATION_HINT, parseDuration } from './duration.js'
import { BanyanError } from './errors.js'
import { suggest } from './suggest.js'

/** What one option accepts. `doc` says its effect in one line, for editors and `--help`. */
export type OptionKind =
  | { kind: 'duration'; min?: number; doc: string }
  | { kind: 'number'; min?: number; max?: number; integer?: boolean; doc: string }
  | { kind: 'boolean'; doc: string }
  | { kind: 'string'; doc: string }
  | { kind: 'choice'; values: readonly (string | boolean)[]; doc: string }
  | { kind: 'list'; of: OptionKind; doc: string }
  | { kind: 'group'; options: OptionKinds; doc: string }
  /** Any of several kinds; the first that fits is taken. */
  | { kind: 'either'; of: readonly OptionKind[]; doc: string }
  /** Functions and objects of code; cannot stand in a configuration file. */
  | { kind: 'code'; type: 'function' | 'object'; doc: string }

/** The options of one thing, by name. */
export type OptionKinds = Readonly<Record<string, OptionKind>>

/** The same, bound to the interface that documents them: a name missing in either is a type error. */
export type OptionTable<Options> = { readonly [Name in keyof Required<Options>]: OptionKind }

/** What is wrong, and where inside the given value. */
export interface OptionProblem {
  path: (string | number)[]
  message: string
}

/**
 * Checks options against their table, all of them at once.
 *
 * @param owner - who takes the options, for the message: `retry`
 * @param table - the known options
 * @param given - what the caller passed
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that names every unknown option and every value out of range
 */
export function checkOptions<Options>(owner: string, table: OptionTable<Options>, given: Options): void {
  const problems = findProblems(table, given)
  if (problems.length === 0) return
  const list = problems.map(({ path, message }) =>
    path.length > 0 ? `${path.join('.')} ${message}` : message,
  )
  throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: ${list.join('; ')}`)
}

/**
 * Checks that options have no unknown name: for hot paths, where their values are looked at otherwise.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`
 */
export function checkOptionNames(owner: string, known: readonly string[], given: object): void {
  if (typeof given !== 'object' || (given as object | null) === null)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${owner}: must be an object of options, got ${show(given)}`,
    )
  for (const name in given)
    if (!known.includes(name))
      throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: ${name} ${unknownName(name, known)}`)
}

/** Every problem of `given` under `table`; none means that it is fine. */
export function findProblems(table: OptionKinds, given: unknown): OptionProblem[] {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    return [{ path: [], message: `must be an object of options, got ${show(given)}` }]
  }
  const problems: OptionProblem[] = []
  for (const [name, value] of Object.entries(given)) {
    const kind = Object.hasOwn(table, name) ? table[name] : undefined
    if (kind === undefined) {
      problems.push({ path: [name], message: unknownName(name, Object.keys(table)) })
    } else if (value !== undefined) {
      for (const problem of findValueProblems(kind, value)) {
        problems.push({ path: [name, ...problem.path], message: problem.message })
      }
    }
  }
  return problems
}

function unknownName(name: string, known: readonly string[]): string {
  const near = suggest(name, known)
  return `is not an option${near ? `, did you mean \`${near}\`?` : ''}`
}

function findValueProblems(kind: OptionKind, value: unknown): OptionProblem[] {
  const must = (expected: string): OptionProblem[] => [
    { path: [], message: `must be ${expected}, got ${show(value)}` },
  ]
  switch (kind.kind) {
    case 'duration': {
      const ms = parseDuration(value)
      return ms === undefined || ms < (kind.min ?? 0) ? must(describe(kind)) : []
    }
    case 'number': {
      const { min = -Infinity, max = Infinity, integer = false } = kind
      const fits =
        typeof value === 'number' && value >= min && value <= max && (!integer || Number.isInteger(value))
      return fits ? [] : must(describe(kind))
    }
    case 'boolean':
      return typeof value === 'boolean' ? [] : must(describe(kind))
    case 'string':
      return typeof value === 'string' ? [] : must(describe(kind))
    case 'choice':
      return kind.values.includes(value as string) ? [] : must(describe(kind))
    case 'list':
      if (!Array.isArray(value)) return must(describe(kind))
      return value.flatMap((entry, index) =>
        findValueProblems(kind.of, entry).map(({ path, message }) => ({ path: [index, ...path], message })),
      )
    case 'group':
      return findProblems(kind.options, value)
    case 'either': {
      const attempts = kind.of.map((choice) => findValueProblems(choice, value))
      if (attempts.some((problems) => problems.length === 0)) return []
      // A problem inside the value says more than "none of these fit".
      return attempts.find((problems) => problems.some(({ path }) => path.length > 0)) ?? must(describe(kind))
    }
    case 'code':
      return typeof value === kind.type && value !== null ? [] : must(describe(kind))
  }
}

/** What a kind accepts, in words. */
export function describe(kind: OptionKind): string {
  switch (kind.kind) {
    case 'duration':
      return kind.min ? `${DURATION_HINT}, at least ${kind.min}ms` : DURATION_HINT
    case 'number': {
      const noun = kind.integer ? 'a whole number' : 'a number'
      if (kind.min !== undefined && kind.max !== undefined) return `${noun} from ${kind.min} to ${kind.max}`
      if (kind.min !== undefined) return `${noun} of at least ${kind.min}`
      return kind.max !== undefined ? `${noun} of at most ${kind.max}` : noun
    }
    case 'boolean':
      return 'true or false'
    case 'string':
      return 'text'
    case 'choice':
      return kind.values.length === 1
        ? JSON.stringify(kind.values[0])
        : `one of ${kind.values.map((value) => JSON.stringify(value)).join(', ')}`
    case 'list':
      return `a list, each entry ${describe(kind.of)}`
    case 'group':
      return 'an object of options'
    case 'either':
      return kind.of.map(describe).join(', or ')
    case 'code':
      return kind.type === 'function' ? 'a function' : 'an object'
  }
}

function show(value: unknown): string {
  if (typeof value === 'function') return 'a function'
  if (Number.isNaN(value) || value === Infinity || value === -Infinity) return String(value)
  if (typeof value === 'bigint') return `${value}n`
  if (value === undefined) return 'nothing'
  try {
    return JSON.stringify(value)
  } catch {
    // It refers to itself, or has what JSON cannot say.
    return Object.prototype.toString.call(value)
  }
}
