import { suggest } from '../core/suggest.js'
import type { Query } from './driver.js'
import { eventError } from './errors.js'
import type { FollowOptions, ReadOptions, Selector } from './log.js'
import { categoryOf, checkName, MAX_STREAM_BYTES } from './names.js'
import { START } from './position.js'

const READ_OPTIONS = ['from', 'to', 'fromRevision', 'toRevision', 'limit', 'backwards', 'faults', 'signal']
const FOLLOW_OPTIONS = ['from', 'signal', 'batch', 'faults']

/** Everything of a query but where it starts. */
export type Part = Omit<Query, 'after' | 'before' | 'limit'>

/**
 * Checks a selector and options, and turns them into what drivers are asked.
 *
 * @throws `BANYAN_INVALID_SELECTOR`
 */
export function queryOf(selector: Selector, options: ReadOptions): Part {
  checkObject(selector, 'a selector', 'for one stream write { stream }')
  checkObject(options, 'options', 'leave them out for none')
  const { stream, category, tags, types, ...unknown } = selector
  for (const name of Object.keys(unknown))
    throw invalid(`a selector has stream, category, tags and types, not ${name}`)
  if (stream !== undefined && category !== undefined)
    throw invalid('a selector has a stream or a category, not both')
  if (stream !== undefined) checkName(stream, 'stream', 'BANYAN_INVALID_SELECTOR', MAX_STREAM_BYTES)
  if (category !== undefined) checkName(category, 'category', 'BANYAN_INVALID_SELECTOR', MAX_STREAM_BYTES)
  checkList(tags, 'tags')
  checkList(types, 'types')
  checkOptionNames(options, READ_OPTIONS, 'reading')
  const { to, fromRevision, toRevision, backwards = false } = options
  if (typeof backwards !== 'boolean') throw invalid(`backwards must be true or false, got ${show(backwards)}`)
  if (stream === undefined && (fromRevision ?? toRevision) !== undefined)
    throw invalid(
      'revisions count inside a stream: fromRevision and toRevision need a stream in the selector',
    )
  for (const revision of [fromRevision, toRevision])
    if (revision !== undefined && !(Number.isSafeInteger(revision) && revision >= 0))
      throw invalid(`a revision is a whole number from 0, got ${String(revision)}`)
  return {
    ...(stream !== undefined && { stream }),
    ...(category !== undefined && { category }),
    ...(tags !== undefined && tags.length > 0 && { tags: [...new Set(tags)] }),
    ...(types !== undefined && { types }),
    ...(to !== undefined && { upTo: to }),
    ...(fromRevision !== undefined && { fromRevision }),
    ...(toRevision !== undefined && { toRevision }),
    backwards,
  }
}

/** The same for what is followed. */
export function followedPart(selector: Selector, options: FollowOptions): Part {
  checkObject(options, 'options', 'leave them out for none')
  checkOptionNames(options, FOLLOW_OPTIONS, 'following')
  return queryOf(selector, {})
}

/** Whether an event is one of those that a selector means. */
export function isSelected(
  { stream, category, tags = [], types }: Selector,
  event: { readonly stream: string; readonly type: string; readonly tags?: readonly string[] },
): boolean {
  if (stream !== undefined && stream !== event.stream) return false
  if (category !== undefined && category !== categoryOf(event.stream)) return false
  if (types && !types.includes(event.type)) return false
  return tags.every((tag) => event.tags?.includes(tag))
}

/** How many events are wanted; `Infinity` by default. */
export function limitOf({ limit = Infinity }: ReadOptions): number {
  if (limit === Infinity || (Number.isSafeInteger(limit) && limit >= 0)) return limit
  throw invalid(`limit must be a whole number from 0, got ${String(limit)}`)
}

/** Where to begin, by default at the start. */
export function startOf({ from = START }: { from?: string }): string {
  if (typeof from !== 'string') throw invalid(`from must be a position, got ${JSON.stringify(from)}`)
  return from
}

/** What is not known would be passed over, and all would be read where a part was meant. */
function checkOptionNames(options: object, known: readonly string[], what: string): void {
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue
    const near = suggest(name, known)
    throw invalid(`${name} is not an option of ${what}${near ? `, did you mean ${near}?` : ''}`)
  }
}

function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

function checkObject(value: unknown, what: string, advice: string): void {
  if (typeof value !== 'object' || value === null)
    throw invalid(`${what} must be an object, got ${JSON.stringify(value)}; ${advice}`)
}

function checkList(list: readonly string[] | undefined, what: string): void {
  if (list === undefined) return
  if (!Array.isArray(list)) throw invalid(`${what} must be a list of names`)
  if (what === 'types' && list.length === 0)
    throw invalid('an empty list of types selects nothing; leave it out for all')
  for (const entry of list) checkName(entry, what, 'BANYAN_INVALID_SELECTOR')
}

function invalid(message: string): Error {
  return eventError('BANYAN_INVALID_SELECTOR', message)
}
