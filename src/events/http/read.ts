import type { HandlerAnswer, HandlerRequest } from '../../core/http-handler.js'
import type { Batch, Position, ReadOptions, RecordedEvent } from '../log.js'
import { START } from '../position.js'
import type { JSON_TYPE } from './accept.js'
import { BATCH, NDJSON } from './accept.js'
import { refuseParameters, type Wanted } from './parameters.js'
import { problem } from './problem.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import type { EventsSurroundings } from './surroundings.js'
import type { OfferedLog } from './visible.js'

const DEFAULT_LIMIT = 100
const LARGEST_LIMIT = 1000

/** A page ends after so many characters of JSON, whatever its limit. */
const PAGE_LENGTH = 4 * 1024 * 1024

/** Parts of a stream of lines are about so long. */
const PART_LENGTH = 64 * 1024

/** Fields of every answer with events. */
export const ALWAYS = [
  ['Cache-Control', 'no-store'],
  ['Vary', 'Accept'],
] as const

/**
 * One page of events as a JSON array. `Link` leads to the next one if there is more now; `Log-Position` says up to where
 * the log was read, for who wants to go on later. With `wait`, an empty page waits for events.
 */
export async function readBatch(
  request: HandlerRequest,
  wanted: Wanted,
  type: typeof BATCH | typeof JSON_TYPE,
  surroundings: EventsSurroundings,
): Promise<HandlerAnswer> {
  const { limit = DEFAULT_LIMIT, selector } = wanted
  if (limit > LARGEST_LIMIT)
    throw problem(
      400,
      'invalid-parameter',
      `\`limit\` must be ${LARGEST_LIMIT} at most; \`Accept: ${NDJSON}\` gives as many as there are.`,
    )
  // Before the events, so that what was told cannot be newer than what was shown.
  const revision = await revisionField(surroundings.log, selector.stream)
  const page =
    wanted.wait === undefined
      ? await readPage(request, wanted, limit, surroundings)
      : await waitForPage(request, { ...wanted, wait: wanted.wait }, limit, surroundings)
  const fields: [string, string][] = [
    ['Content-Type', type],
    ...ALWAYS.map(([name, value]): [string, string] => [name, value]),
    ['Log-Position', page.position],
    ...revision,
  ]
  if (page.next) fields.push(['Link', `<${linkTo(request, page.next)}>; rel="next"`])
  return { status: 200, fields, body: Buffer.from(`[${page.texts.join(',')}]`) }
}

/** All events as lines of JSON, one after the other as they are read. */
export async function readLines(
  request: HandlerRequest,
  wanted: Wanted,
  surroundings: EventsSurroundings,
): Promise<HandlerAnswer> {
  refuseParameters(wanted, ['wait'], NDJSON)
  const { log } = surroundings
  const revision = await revisionField(log, wanted.selector.stream)
  const events = log
    .read(wanted.selector, { ...partOf(wanted), signal: request.signal })
    [Symbol.asyncIterator]()
  // What is wrong with the request shows here, while there is still a status to tell it with.
  const first = await events.next()
  return {
    status: 200,
    fields: [['Content-Type', NDJSON], ...ALWAYS, ...revision],
    body: lines(first, events, surroundings.textOf),
  }
}

/** For who wants to know where a stream or the log is. */
export async function readHead(
  { log }: EventsSurroundings,
  stream: string | undefined,
): Promise<HandlerAnswer> {
  const revision = await revisionField(log, stream)
  const fields = [
    ['Content-Type', BATCH],
    ...ALWAYS,
    ['Log-Position', await log.head()],
    ...revision,
  ] as const
  return { status: 200, fields, body: Buffer.alloc(0) }
}

interface PageOfTexts {
  texts: string[]
  position: Position
  /** Parameters of the next page; absent if there is nothing more now. */
  next?: Record<string, string>
}

async function readPage(
  { signal }: HandlerRequest,
  wanted: Wanted,
  limit: number,
  { log, textOf }: EventsSurroundings,
): Promise<PageOfTexts> {
  const head = await log.head()
  const end = wanted.to !== undefined && wanted.to < head ? wanted.to : head
  const texts: string[] = []
  let length = 0
  let last: RecordedEvent | undefined
  const part = { ...partOf(wanted), to: wanted.to ?? head }
  for await (const event of log.read(wanted.selector, { ...part, limit: limit + 1, signal })) {
    if (last && (texts.length === limit || length > PAGE_LENGTH)) {
      const next = wanted.backwards ? { to: event.position } : { from: last.position }
      return { texts, position: wanted.backwards ? end : last.position, next }
    }
    const text = textOf(event)
    texts.push(text)
    length += text.length
    last = event
  }
  return { texts, position: end }
}

/** What is there, or what comes within the time. */
async function waitForPage(
  { signal }: HandlerRequest,
  wanted: Wanted & { wait: number },
  limit: number,
  { log, textOf, clock, closing }: EventsSurroundings,
): Promise<PageOfTexts> {
  refuseParameters(wanted, ['to', 'fromRevision', 'toRevision', 'backwards'], '`wait`')
  const enough = new AbortController()
  const until = AbortSignal.any([signal, closing, enough.signal])
  const { from } = wanted
  const batches = log
    .follow(wanted.selector, { batch: limit, signal: until, ...(from !== undefined && { from }) })
    [Symbol.asyncIterator]()
  const deadline = clock.now() + wanted.wait
  let position = from ?? START
  try {
    for (;;) {
      const waiting = batches.next()
      const result = await raceWithTimer(clock, waiting, deadline - clock.now())
      if (isPassed(result)) {
        enough.abort()
        // Events may have come at the same moment.
        return pageOf(await waiting, position, textOf)
      }
      if (result.done || result.value.events.length > 0) return pageOf(result, position, textOf)
      position = result.value.position
    }
  } finally {
    enough.abort()
    await batches.return?.()
  }
}

function pageOf(
  result: IteratorResult<Batch, unknown>,
  position: Position,
  textOf: (event: RecordedEvent) => string,
): PageOfTexts {
  if (result.done) return { texts: [], position }
  const { events, caughtUp, position: reached } = result.value
  return {
    texts: events.map(textOf),
    position: reached,
    ...(!caughtUp && { next: { from: reached } }),
  }
}

async function* lines(
  first: IteratorResult<RecordedEvent, unknown>,
  events: AsyncIterator<RecordedEvent, unknown>,
  textOf: (event: RecordedEvent) => string,
): AsyncGenerator<Buffer> {
  try {
    let part = ''
    for (let result = first; !result.done; result = await events.next()) {
      part += `${textOf(result.value)}\n`
      if (part.length < PART_LENGTH) continue
      yield Buffer.from(part)
      part = ''
    }
    if (part !== '') yield Buffer.from(part)
  } finally {
    await events.return?.()
  }
}

function partOf({ from, to, fromRevision, toRevision, limit, backwards }: Wanted): ReadOptions {
  return {
    backwards,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(fromRevision !== undefined && { fromRevision }),
    ...(toRevision !== undefined && { toRevision }),
    ...(limit !== undefined && { limit }),
  }
}

async function revisionField(log: OfferedLog, stream: string | undefined): Promise<[string, string][]> {
  return stream === undefined ? [] : [['Stream-Revision', String(await log.revision(stream))]]
}

/** The address of a request with other parameters. */
function linkTo({ base, path, query }: HandlerRequest, parameters: Record<string, string>): string {
  const next = new URLSearchParams(query)
  for (const [name, value] of Object.entries(parameters)) next.set(name, value)
  return `${base}${path}?${next.toString()}`
}
