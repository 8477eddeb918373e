import { suggest } from '../core/suggest.js'
import { eventError } from './errors.js'
import type { Position, StreamsOptions, Truncation } from './log.js'
import { checkName, MAX_STREAM_BYTES } from './names.js'
import { isStateStream } from './transform.js'

const STREAMS_OPTIONS = ['category', 'after', 'limit', 'signal']
const FORMS = '{ stream, beforeRevision }, { category, upTo } or, for the whole log, { all: true, upTo }'

/**
 * Refuses whatever is not exactly one of the forms of a truncation: a name that is misspelt or left out must never make
 * more of the log go than was meant.
 *
 * @throws `BANYAN_INVALID_SELECTOR`, `BANYAN_INVALID_POSITION`
 */
export function checkTruncation(what: Truncation): void {
  const { forget = false, ...given }: Readonly<Record<string, unknown>> =
    typeof what === 'object' && (what as object | null) !== null ? { ...what } : {}
  const kind = ['stream', 'category', 'all'].find((name) => name in given)
  const end = kind === 'stream' ? 'beforeRevision' : 'upTo'
  const isForm = kind !== undefined && Object.keys(given).every((name) => name === kind || name === end)
  if (!isForm || (kind === 'all' && given['all'] !== true))
    throw invalid(`what to remove must be ${FORMS}, got ${show(what)}; nothing was removed`)
  if (kind !== 'all') checkName(given[kind], kind, 'BANYAN_INVALID_SELECTOR', MAX_STREAM_BYTES)
  if (forget !== false && (forget !== true || kind !== 'stream' || !isStateStream(given[kind] as string)))
    throw invalid(
      'forget must be true or false, and is only for a stream in which patterns keep their state, whose name begins with $, ' +
        `got ${show(what)}; nothing was removed. Truncate without it, and what holds keep stays`,
    )
  if (kind === 'stream') checkCount(given[end], end)
  else checkPosition(given[end], end)
}

/** @throws `BANYAN_INVALID_POSITION` unless it has at least the type of one; what it must look like, its driver knows */
export function checkPosition(position: unknown, what: string): asserts position is Position {
  if (typeof position !== 'string' || position === '')
    throw eventError(
      'BANYAN_INVALID_POSITION',
      `${what} must be a position, as events, batches and results have it, got ${show(position)}`,
    )
}

/** @throws `BANYAN_INVALID_SELECTOR` unless it is ms since the epoch */
export function checkTime(time: unknown): asserts time is number {
  if (typeof time === 'number' && Number.isFinite(time)) return
  throw invalid(
    `a time is a number of ms since the epoch, got ${show(time)}` +
      (time instanceof Date ? '; of a Date it is date.getTime()' : ''),
  )
}

/** @throws `BANYAN_INVALID_SELECTOR` */
export function checkStreamsOptions(options: StreamsOptions): void {
  if (typeof options !== 'object' || (options as object | null) === null)
    throw invalid(`options must be an object, got ${show(options)}; leave them out for none`)
  for (const name of Object.keys(options)) {
    if (STREAMS_OPTIONS.includes(name)) continue
    const near = suggest(name, STREAMS_OPTIONS)
    throw invalid(`${name} is not an option of streams${near ? `, did you mean ${near}?` : ''}`)
  }
  const { category, after, limit } = options
  if (category !== undefined) checkName(category, 'category', 'BANYAN_INVALID_SELECTOR', MAX_STREAM_BYTES)
  if (after !== undefined && typeof after !== 'string')
    throw invalid(`after must be the name of a stream, got ${show(after)}`)
  if (limit !== undefined && limit !== Infinity) checkCount(limit, 'limit')
}

function checkCount(value: unknown, what: string): void {
  if (!Number.isSafeInteger(value) || (value as number) < 0)
    throw invalid(`${what} must be a whole number from 0, got ${show(value)}`)
}

function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (typeof value === 'bigint') return `${value}n`
  return typeof value === 'number' || typeof value === 'function' ? String(value) : JSON.stringify(value)
}

function invalid(message: string): Error {
  return eventError('BANYAN_INVALID_SELECTOR', message)
}
