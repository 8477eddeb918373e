import type { Selector } from '../../events/index.js'
import { UsageError } from '../usage-error.js'

/** Options of every command that selects events. */
export interface SelectionOptions {
  stream?: string
  category?: string
  tag?: string[]
  type?: string[]
}

/** Options of commands that take a part of a stream. */
export interface RevisionOptions {
  fromRevision?: string
  toRevision?: string
}

/** @throws {@link UsageError} */
export function revisionsOf({ stream, fromRevision, toRevision }: RevisionOptions & SelectionOptions): {
  fromRevision?: number
  toRevision?: number
} {
  if (stream === undefined && (fromRevision ?? toRevision) !== undefined)
    throw new UsageError('revisions count inside a stream: --from-revision and --to-revision need --stream')
  return {
    ...(fromRevision !== undefined && { fromRevision: countOf(fromRevision, '--from-revision') }),
    ...(toRevision !== undefined && { toRevision: countOf(toRevision, '--to-revision') }),
  }
}

/** @throws {@link UsageError} */
export function selectorOf({ stream, category, tag, type }: SelectionOptions): Selector {
  if (stream !== undefined && category !== undefined)
    throw new UsageError('--stream and --category contradict each other; give one of them')
  return {
    ...(stream !== undefined && { stream }),
    ...(category !== undefined && { category }),
    ...(tag && { tags: tag }),
    ...(type && { types: type }),
  }
}

/** A whole number from 0, for an option. */
export function countOf(text: string, option: string): number {
  const number = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number
  throw new UsageError(`${option} is a whole number from 0, got ${JSON.stringify(text)}`)
}
