import { eventError } from './errors.js'

/** Deeper than this is a mistake, and would overflow the stack of some reader. */
const MAX_DEPTH = 200
/** Characters of a path in a message. */
const MAX_PATH = 100

/**
 * The text of a value, if JSON keeps it: what is read back is what was given. Properties that are `undefined` are left
 * out, and `toJSON` is honoured, as `JSON.stringify` does.
 *
 * @param what - what to call it in the message
 * @throws `BANYAN_INVALID_EVENT` with the path of what JSON would change or drop in silence
 */
export function toJson(value: unknown, what: string): string {
  let found: Problem | undefined
  let text
  try {
    found = findProblem(value, 0)
    if (!found) text = JSON.stringify(value) as string | undefined
  } catch (error) {
    throw eventError('BANYAN_INVALID_EVENT', `${what} does not serialise: ${String(error)}`, error)
  }
  if (found) throw eventError('BANYAN_INVALID_EVENT', `${what}${shortened(found.path)} ${found.message}`)
  // A toJSON that returns nothing.
  if (text === undefined) throw eventError('BANYAN_INVALID_EVENT', `${what} serialises to nothing`)
  return text
}

interface Problem {
  /** Where, from the outside: put together on the way back, so that what is fine costs nothing. */
  path: string
  message: string
}

function findProblem(value: unknown, depth: number): Problem | undefined {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return undefined
    case 'number':
      return Number.isFinite(value) ? undefined : problem(`is ${value}, which JSON cannot hold`)
    case 'object':
      return value === null ? undefined : findInObject(value, depth)
    case 'undefined':
      return problem('is undefined, which JSON would turn into null')
    default:
      return problem(`is a ${typeof value}, which JSON cannot hold`)
  }
}

/** Of a toJSON, which is asked once: what it gives may have a toJSON again. */
function findInResult(value: unknown, depth: number): Problem | undefined {
  return typeof value === 'object' && value !== null
    ? findInObject(value, depth + 1, true)
    : findProblem(value, depth + 1)
}

function findInObject(value: object, depth: number, converted = false): Problem | undefined {
  if (depth > MAX_DEPTH) return problem(`is nested deeper than ${MAX_DEPTH}, or in itself`)
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const found = findProblem(value[index], depth + 1)
      if (found) return { path: `[${index}]${found.path}`, message: found.message }
    }
    return undefined
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) {
    if (value instanceof Date && Number.isNaN(value.getTime())) return problem('is an invalid date')
    if (value instanceof Date && !converted) return undefined
    if (!converted && 'toJSON' in value && typeof value.toJSON === 'function' && !ArrayBuffer.isView(value))
      return findInResult((value.toJSON as () => unknown)(), depth)
    if (LOSSY.some((type) => value instanceof type) || ArrayBuffer.isView(value))
      return problem(
        `is a ${value.constructor.name}, which JSON would not keep (bytes can only be all of the data)`,
      )
  }
  for (const key in value) {
    const property = (value as Record<string, unknown>)[key]
    if (property === undefined) continue
    const found = findProblem(property, depth + 1)
    if (found) return { path: `.${key}${found.path}`, message: found.message }
  }
  return undefined
}

const LOSSY = [Map, Set, WeakMap, WeakSet, Promise, RegExp, ArrayBuffer, Error]

function shortened(path: string): string {
  return path.length > MAX_PATH ? `${path.slice(0, MAX_PATH)}...` : path
}

function problem(message: string): Problem {
  return { path: '', message }
}
