import { BanyanError } from '../../core/errors.js'

/** Where personal data is: `address.street`, `phones.*`, `email?`. */
export interface FieldPath {
  readonly text: string
  /** Names of properties; `*` is each of them, and each element. */
  readonly parts: readonly string[]
  /** It may be missing. */
  readonly optional: boolean
}

/** A value that a path leads to. */
export interface Place {
  readonly container: Record<string, unknown>
  readonly name: string
  /** JSON Pointer (RFC 6901). */
  readonly pointer: string
}

/**
 * Reads a path.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function parsePath(text: unknown, what: string): FieldPath {
  const path = typeof text === 'string' ? text.replace(/\?$/, '') : ''
  const parts = path.split('.')
  if (parts.includes(''))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `personalData: ${what} must be a path such as name, address.street, phones.* or email?, got ${JSON.stringify(text)}`,
    )
  return { text: path, parts, optional: path !== text }
}

/** The places that a path leads to. Data is as JSON gives it. */
export function findPlaces(data: unknown, { parts }: FieldPath): Place[] {
  let found: { value: unknown; place?: Place; pointer: string }[] = [{ value: data, pointer: '' }]
  for (const part of parts)
    found = found.flatMap(({ value, pointer }) => {
      if (typeof value !== 'object' || value === null) return []
      const container = value as Record<string, unknown>
      const names = part === '*' ? Object.keys(container) : Object.hasOwn(container, part) ? [part] : []
      return names.map((name) => {
        const place = { container, name, pointer: pointer + pointerOf([name]) }
        return { value: container[name], place, pointer: place.pointer }
      })
    })
  return found.map(({ place }) => place!)
}

/** What a pointer points to; undefined if it is not there. */
export function placeOf(data: unknown, pointer: string): Place | undefined {
  let container = data
  const names = pointer.split('/').slice(1).map(unescape)
  for (const [index, name] of names.entries()) {
    if (typeof container !== 'object' || container === null || !Object.hasOwn(container, name))
      return undefined
    const record = container as Record<string, unknown>
    if (index === names.length - 1) return { container: record, name, pointer }
    container = record[name]
  }
  return undefined
}

/** The pointer to a property of a property ... of a value. */
export function pointerOf(names: readonly string[]): string {
  return names.map((name) => `/${name.replace(/~/g, '~0').replace(/\//g, '~1')}`).join('')
}

function unescape(part: string): string {
  return part.replace(/~1/g, '/').replace(/~0/g, '~')
}
