import type { Resource } from '../../coordination/resources/object.js'
import { NAME_ANNOTATION } from './names.js'
import { ORDER_ANNOTATION } from './resources-of.js'

/** The same as long as a resource wants the same: its status, and what others note in it, do not count. */
export function wantedBy({ metadata }: Resource): string {
  const { uid, generation, deletionTimestamp, annotations } = metadata
  const own = [annotations?.[NAME_ANNOTATION], annotations?.[ORDER_ANNOTATION]]
  return JSON.stringify([uid, generation, deletionTimestamp, ...own])
}
