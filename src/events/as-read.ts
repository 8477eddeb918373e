import { toJson } from './json.js'

/**
 * Data as whoever reads the event later gets it: a date as text, without what is `undefined`. What is plain JSON already,
 * as most data is, stays the same object.
 *
 * @throws `BANYAN_INVALID_EVENT` for what JSON does not keep
 */
export function asRead(data: unknown, type: string): unknown {
  if (data === undefined) return data
  if (data instanceof Uint8Array) return new Uint8Array(data)
  return asJson(data, `data of ${type}`)
}

/**
 * The same for what is a part of some data.
 *
 * @param what - what to call it in the message
 * @throws `BANYAN_INVALID_EVENT` for what JSON does not keep
 */
export function asJson(value: unknown, what: string): unknown {
  return isPlain(value, 0) ? value : (JSON.parse(toJson(value, what)) as unknown)
}

/** Deeper values go the long way. */
const MAX_DEPTH = 32

function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value) && !Object.is(value, -0)
    case 'object':
      return value === null || (depth < MAX_DEPTH && isPlainInside(value, depth + 1))
    default:
      return false
  }
}

function isPlainInside(value: object, depth: number): boolean {
  if (Array.isArray(value)) {
    for (const entry of value) if (!isPlain(entry, depth)) return false
    return true
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return false
  // A function among them is not plain either: also a toJSON.
  for (const key in value) if (!isPlain((value as Record<string, unknown>)[key], depth)) return false
  return true
}
