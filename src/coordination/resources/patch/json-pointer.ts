import { invalidPatch } from '../error.js'

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
  return pointer
    .slice(1)
    .split('/')
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** Writes a JSON pointer. */
export function formatPointer(tokens: readonly string[]): string {
  return tokens.map((token) => `/${token.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
