import { parseDuration } from '../../core/duration.js'
import type { HandlerRequest } from '../../core/http-handler.js'
import { suggest } from '../../core/suggest.js'
import type { Position, Selector } from '../log.js'
import { problem } from './problem.js'

/** What a request asks to read. */
export interface Wanted {
  selector: Selector
  from?: Position
  to?: Position
  fromRevision?: number
  toRevision?: number
  limit?: number
  backwards: boolean
  /** ms to wait for events if there are none. */
  wait?: number
}

const KNOWN = [
  'stream',
  'category',
  'type',
  'tag',
  'from',
  'to',
  'fromRevision',
  'toRevision',
  'limit',
  'backwards',
  'wait',
] as const

type Name = (typeof KNOWN)[number]

/** Parameters that may be given more than once. */
const REPEATED: ReadonlySet<string> = new Set<Name>(['type', 'tag'])

/** The longest that a request may wait for events, in ms. */
export const LONGEST_WAIT = 60_000

/**
 * Reads the parameters of a request.
 *
 * @param stream - the stream that the path names
 * @throws a problem of 400
 */
export function readParameters({ query }: HandlerRequest, stream: string | undefined): Wanted {
  for (const name of new Set(query.keys())) {
    if (!(KNOWN as readonly string[]).includes(name)) throw unknownParameter(name)
    if (!REPEATED.has(name) && query.getAll(name).length > 1) throw wrong(`\`${name}\` stands twice.`)
  }
  const one = (name: Name): string | undefined => query.get(name) ?? undefined
  const named = one('stream')
  if (named !== undefined && stream !== undefined)
    throw wrong('`stream` contradicts the path, which names one.')
  const types = query.getAll('type')
  const tags = query.getAll('tag')
  const category = one('category')
  const chosen = stream ?? named
  const [from, to] = [one('from'), one('to')]
  const wait = durationOf(one('wait'))
  return {
    selector: {
      ...(chosen !== undefined && { stream: chosen }),
      ...(category !== undefined && { category }),
      ...(types.length > 0 && { types }),
      ...(tags.length > 0 && { tags }),
    },
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...numberOf('fromRevision', one('fromRevision')),
    ...numberOf('toRevision', one('toRevision')),
    ...numberOf('limit', one('limit'), 1),
    backwards: booleanOf(one('backwards')),
    ...(wait !== undefined && { wait }),
  }
}

/** @throws a problem of 400 if one of these was asked for, which make no sense there */
export function refuseParameters(wanted: Wanted, names: readonly (keyof Wanted & Name)[], why: string): void {
  for (const name of names)
    if (wanted[name] !== undefined && wanted[name] !== false)
      throw wrong(`\`${name}\` does not go with ${why}.`)
}

function numberOf<N extends 'fromRevision' | 'toRevision' | 'limit'>(
  name: N,
  text: string | undefined,
  least = 0,
): Partial<Record<N, number>> {
  if (text === undefined) return {}
  const value = /^\d{1,15}$/.test(text) ? Number(text) : NaN
  if (!(value >= least))
    throw wrong(`\`${name}\` must be a whole number from ${least}, got ${JSON.stringify(text)}.`)
  return { [name]: value } as Partial<Record<N, number>>
}

function booleanOf(text: string | undefined): boolean {
  if (text === undefined || text === 'false') return false
  if (text === 'true') return true
  throw wrong(`\`backwards\` must be true or false, got ${JSON.stringify(text)}.`)
}

function durationOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = parseDuration(/^\d+$/.test(text) ? Number(text) : text)
  if (ms === undefined || ms > LONGEST_WAIT)
    throw wrong(
      `\`wait\` must be a duration such as 20s, up to ${LONGEST_WAIT / 1000}s, got ${JSON.stringify(text)}.`,
    )
  return ms
}

function unknownParameter(name: string): Error {
  const near = suggest(name, KNOWN)
  return wrong(
    near
      ? `Unknown parameter \`${name}\`, did you mean \`${near}\`?`
      : `Unknown parameter \`${name}\`; known are ${KNOWN.join(', ')}.`,
  )
}

function wrong(detail: string): Error {
  return problem(400, 'invalid-parameter', detail)
}
