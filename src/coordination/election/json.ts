import { BanyanError } from '../../core/errors.js'

/**
 * Refuses what others would get as something else, or not at all: JSON makes `{}` of a Map, and null of NaN.
 *
 * @param owner - what the value is, for messages
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function checkJson(owner: string, value: unknown): void {
  const refuse = (problem: string, cause?: unknown): Error =>
    new BanyanError('BANYAN_INVALID_OPTIONS', `${owner} must be what JSON can hold: ${problem}`, { cause })
  try {
    JSON.stringify(value)
  } catch (error) {
    throw refuse(error instanceof Error ? error.message.split('\n', 1)[0]! : String(error), error)
  }
  const lost = lostIn(value)
  if (lost !== undefined) throw refuse(`it has ${lost}`)
}

/** What JSON would make something else of; members that are undefined are left out by everybody. */
function lostIn(value: unknown): string | undefined {
  if (typeof value === 'number' && !Number.isFinite(value)) return String(value)
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`
  if (typeof value !== 'object' || value === null || 'toJSON' in value) return undefined
  const prototype: unknown = Object.getPrototypeOf(value)
  const members: readonly unknown[] = Array.isArray(value) ? value : Object.values(value)
  // An instance of a class of the application may be data; what is kept out of sight, as by a Map, is not.
  if (members.length === 0 && !Array.isArray(value) && prototype !== null && prototype !== Object.prototype)
    return `a ${value.constructor.name}, of which JSON keeps nothing`
  for (const member of members) {
    const lost = lostIn(member)
    if (lost !== undefined) return lost
  }
  return undefined
}
