import { z } from 'zod'
import { suggest } from '../../core/suggest.js'
import { missingOfGateway, withGateway } from './gateway-part.js'
import { configSchema, type ConfigInput } from './schema/config.js'
import type { Path } from './problem.js'

/** What is wrong with the shape of a configuration. */
export interface ShapeProblem {
  path: Path
  message: string
  /** Whether the name at the end of the path is at fault, not its value. */
  at: 'key' | 'value'
}

/** Checks a configuration against the schema; every problem at once, in words of the file. */
export function checkShape(value: unknown): { config: ConfigInput } | { problems: ShapeProblem[] } {
  if (value === null) return { problems: [{ path: [], at: 'value', message: 'the file is empty' }] }
  const result = configSchema.safeParse(value, { reportInput: true })
  const problems: ShapeProblem[] = [
    ...(result.success ? [] : result.error.issues.flatMap((issue) => explain(issue, [], value))),
    ...missingOfGateway(value),
  ]
  return result.success && problems.length === 0 ? { config: withGateway(result.data) } : { problems }
}

type Issue = z.core.$ZodIssue

function explain(issue: Issue, above: Path, root: unknown): ShapeProblem[] {
  const path = [...above, ...(issue.path as (string | number)[])]
  const value = valueAt(root, path)
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        path: [...path, key],
        at: 'key',
        message: unknownKey(key, path, value),
      }))
    case 'invalid_union': {
      // The branch that went furthest into the value is the one that was meant.
      const branches = issue.errors.filter((branch) => branch.length > 0)
      const meant =
        branches.find((branch) =>
          branch.some((each) => each.path.length > 0 || each.code === 'unrecognized_keys'),
        ) ?? branches.find((branch) => branch.some((each) => !isOtherKind(each)))
      if (meant) return meant.flatMap((each) => explain(each, path, root))
      return [
        {
          path,
          at: 'value',
          message:
            value === undefined
              ? 'is missing'
              : `${custom(issue) ?? `must be ${kindsOf(branches).join(' or ')}`}, got ${show(value)}${nearest(value, valuesOf(branches))}`,
        },
      ]
    }
    case 'invalid_type':
      if (value === undefined) return [{ path, at: 'value', message: 'is missing' }]
      return [{ path, at: 'value', message: mismatch(issue.expected, value) }]
    case 'invalid_value':
      return [
        {
          path,
          at: 'value',
          message: `must be ${oneOf(issue.values)}, got ${show(value)}${nearest(value, issue.values)}`,
        },
      ]
    case 'too_small':
      return [
        {
          path,
          at: 'value',
          message: custom(issue) ?? `must be at least ${String(issue.minimum)}, got ${show(value)}`,
        },
      ]
    case 'too_big':
      return [{ path, at: 'value', message: `must be at most ${String(issue.maximum)}, got ${show(value)}` }]
    case 'invalid_key':
      return issue.issues.map((each) => ({ path, at: 'key', message: each.message }))
    case 'invalid_element':
      return issue.issues.flatMap((each) => explain(each, path, root))
    default:
      return [
        {
          path,
          at: 'value',
          message:
            issue.message.startsWith('is ') || issue.message.startsWith('must ')
              ? `${issue.message}${gotOf(issue.message, value)}`
              : issue.message,
        },
      ]
  }
}

/** Whether a value is of another kind than an issue's schema wants, not merely a wrong one of the right kind. */
function isOtherKind(issue: Issue): boolean {
  if (issue.code === 'invalid_union') return issue.errors.every((branch) => branch.some(isOtherKind))
  return issue.path.length === 0 && (issue.code === 'invalid_type' || issue.code === 'invalid_value')
}

function mismatch(expected: string, value: unknown): string {
  // YAML takes 5 and true for what they look like; a header's value, for one, is text.
  const quoted = expected === 'string' && (typeof value === 'number' || typeof value === 'boolean')
  return `must be ${kindName(expected)}, got ${show(value)}${quoted ? `; write "${value}"` : ''}`
}

function gotOf(message: string, value: unknown): string {
  return message.includes(', got ') ? '' : `, got ${show(value)}`
}

/** The text given with the schema, if there is one: zod's own begin with a capital. */
function custom({ message }: Issue): string | undefined {
  return /^[a-z`]/.test(message) ? message : undefined
}

/** Planes that this version does not have yet, but whose documentation may have been read. */
const LATER = new Set(['migrations', 'workloads'])

function unknownKey(key: string, path: Path, value: unknown): string {
  if (path.length === 0 && LATER.has(key)) return `\`${key}\` is not supported by this version`
  const known = keysAt(configSchema, path)
  const given = new Set(Object.keys(value ?? {}))
  const near = suggest(
    key,
    known.filter((each) => !given.has(each)),
  )
  return near
    ? `unknown key \`${key}\`, did you mean \`${near}\`?`
    : `unknown key \`${key}\`; known are ${known.join(', ')}`
}

/** The keys that the schema knows at `path`. */
function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  const inner = schema instanceof z.ZodOptional ? schema.unwrap() : schema
  if (inner instanceof z.ZodUnion) return inner.options.flatMap((option) => keysAt(option, path))
  const [part, ...rest] = path
  if (part === undefined) return inner instanceof z.ZodObject ? Object.keys(inner.shape) : []
  if (inner instanceof z.ZodObject) {
    const next = (inner.shape as Record<string, z.core.$ZodType>)[part]
    return next ? keysAt(next, rest) : []
  }
  if (inner instanceof z.ZodRecord) return keysAt(inner.valueType, rest)
  if (inner instanceof z.ZodArray) return keysAt(inner.element, rest)
  return []
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root
  for (const part of path) value = (value as Record<string | number, unknown> | null | undefined)?.[part]
  return value
}

const KIND_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'an object',
  array: 'a list',
}

function kindName(kind: string): string {
  return KIND_NAMES[kind] ?? kind
}

function kindsOf(branches: readonly (readonly Issue[])[]): string[] {
  const kinds = branches.flatMap(([first]) => {
    if (first?.code === 'invalid_union') return kindsOf(first.errors)
    if (first?.code === 'invalid_type') return kindName(first.expected)
    return first?.code === 'invalid_value' ? oneOf(first.values) : []
  })
  return [...new Set(kinds)]
}

/** The values that some branch lists. */
function valuesOf(branches: readonly (readonly Issue[])[]): unknown[] {
  return branches.flatMap(([first]) => (first?.code === 'invalid_value' ? first.values : []))
}

function oneOf(values: readonly unknown[]): string {
  const list = values.map((value) => JSON.stringify(value))
  return list.length === 1 ? list[0]! : `one of ${list.join(', ')}`
}

function nearest(value: unknown, values: readonly unknown[]): string {
  const near = typeof value === 'string' ? suggest(value, values.map(String)) : undefined
  return near ? `; did you mean "${near}"?` : ''
}

/** A value as the file has it. A configuration in TypeScript may hold what JSON cannot. */
function show(value: unknown): string {
  const text = textOf(value)
  return text.length > 60 ? `${text.slice(0, 57)}...` : text
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return 'nothing'
  if (typeof value === 'function') return 'a function'
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'symbol')
    return value.toString()
  try {
    return JSON.stringify(value)
  } catch {
    return 'an object'
  }
}
