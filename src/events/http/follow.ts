import type { HandlerAnswer, HandlerRequest } from '../../core/http-handler.js'
import type { Batch, Position, RecordedEvent } from '../log.js'
import { SSE } from './accept.js'
import { refuseParameters, type Wanted } from './parameters.js'
import { ALWAYS } from './read.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import type { EventsSurroundings } from './surroundings.js'

/** Parts of the stream are about so long. */
const PART_LENGTH = 64 * 1024

/**
 * What is there and what comes, as Server-Sent Events (WHATWG HTML, 9.2). The `id` of each is its position, so that a
 * client that comes back with `Last-Event-ID` goes on there, and misses nothing. A client that is slow is waited for:
 * what it has not taken yet stays in the log. The stream ends without an error when the server is about to close.
 *
 * Besides events there are `caught-up` (there is nothing more now), `truncated` (events before the next may have been
 * removed before they were read), and comments where there is nothing to say.
 */
export async function followEvents(
  request: HandlerRequest,
  wanted: Wanted,
  { log, textOf, clock, closing, heartbeat }: EventsSurroundings,
): Promise<HandlerAnswer> {
  refuseParameters(wanted, ['to', 'fromRevision', 'toRevision', 'limit', 'backwards', 'wait'], SSE)
  // A client that comes back asks with the address of the first time: what it has seen since counts.
  const last = request.field('last-event-id')
  const from: Position | undefined = last === undefined || last === '' ? wanted.from : last
  const left = new AbortController()
  const signal = AbortSignal.any([request.signal, closing, left.signal])
  const batches = log
    .follow(wanted.selector, { signal, ...(from !== undefined && { from }) })
    [Symbol.asyncIterator]()
  // What is wrong with the request shows here, while there is still a status to tell it with.
  const first = batches.next()
  await raceWithTimer(clock, first, heartbeat)

  async function* parts(): AsyncGenerator<Buffer> {
    try {
      yield Buffer.from(': follows\n\n')
      let next = first
      for (;;) {
        const result = await raceWithTimer(clock, next, heartbeat)
        if (isPassed(result)) {
          yield Buffer.from(':\n\n')
          continue
        }
        if (result.done) return
        yield* partsOf(result.value, textOf)
        next = batches.next()
      }
    } finally {
      left.abort()
      await batches.return?.()
    }
  }
  return {
    status: 200,
    // Some proxies hold back what they could make smaller or longer.
    fields: [['Content-Type', SSE], ...ALWAYS, ['X-Accel-Buffering', 'no']],
    body: parts(),
  }
}

function* partsOf(
  { events, position, caughtUp, truncated }: Batch,
  textOf: (event: RecordedEvent) => string,
): Generator<Buffer> {
  let part = truncated ? 'event: truncated\ndata: {}\n\n' : ''
  for (const event of events) {
    part += `id: ${event.position}\ndata: ${textOf(event)}\n\n`
    if (part.length < PART_LENGTH) continue
    yield Buffer.from(part)
    part = ''
  }
  if (caughtUp) part += `id: ${position}\nevent: caught-up\ndata: {}\n\n`
  // Nothing was selected up to here: who comes back need not look through it again.
  else if (position !== events.at(-1)?.position) part += `id: ${position}\n\n`
  if (part !== '') yield Buffer.from(part)
}
