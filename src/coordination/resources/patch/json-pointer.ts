import { invalidPatch } from '../error.js'
import { MOST_LEVELS } from './json.js'

/**
 * Reads a JSON pointer (RFC 6901).
 *
 * @returns the names and indexes on the way; none for the whole document
 * @throws `BANYAN_PATCH_INVALID`
 */
export function parsePointer(pointer: string): readonly string[] {
  if (pointer === '') return []
  if (!pointer.startsWith('/') || /~(?![01])/.test(pointer))
    throw invalidPatch(`${JSON.stringify(pointer)} is no JSON pointer`)
  const tokens = pointer.slice(1).split('/')
  if (tokens.length > MOST_LEVELS) throw invalidPatch(`a JSON pointer has at most ${MOST_LEVELS} parts`)
  return tokens.map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** Writes a JSON pointer. */
export function formatPointer(tokens: readonly string[]): string {
  return tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
