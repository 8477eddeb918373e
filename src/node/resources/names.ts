import { createHash } from 'node:crypto'
import { subdomainMistake } from '../../coordination/resources/names.js'
import type { ResourceMetadata } from '../../coordination/resources/object.js'
import { GROUP } from './kinds.js'

/** Has the name of an entry, if that can be no name of a resource. */
export const NAME_ANNOTATION = `${GROUP}/name`

/** Characters of a name that are kept in front of its hash. */
const READABLE = 50
const HASH_DIGITS = 10

/**
 * The name of the resource of an entry: the same if it is a name of RFC 1123. Others (`Orders_API`) become one that can be read, with
 * a hash of the whole behind it: {@link NAME_ANNOTATION} has the name itself then.
 */
export function resourceNameOf(entry: string): string {
  if (subdomainMistake(entry) === undefined) return entry
  const readable = entry.toLowerCase().replace(/[^a-z0-9]+/g, '-')
  const hash = createHash('sha256').update(entry).digest('hex').slice(0, HASH_DIGITS)
  return `${readable.slice(0, READABLE)}-${hash}`.replace(/-+/g, '-').replace(/^-/, '')
}

/**
 * The name of the entry of a resource. An annotation counts only if it belongs to the name of the resource: so no two resources of a
 * kind are the same entry.
 *
 * @returns undefined if the annotation does not belong there
 */
export function entryNameOf({ name, annotations }: ResourceMetadata): string | undefined {
  const given = annotations?.[NAME_ANNOTATION]
  if (given === undefined) return name
  // As in a file.
  if (given === '__proto__') return undefined
  return resourceNameOf(given) === name ? given : undefined
}
