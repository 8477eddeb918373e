import type { IncomingMessage } from 'node:http'
import { systemClock } from '../../core/clock.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import type { FollowSagasOptions, SagaChanges, Sagas } from '../../events/saga/index.js'
import { queryOf, refuseUnknown, signalOf, type Reply } from './reply.js'

/** A comment is sent where there is nothing to say for so long, in ms. */
const HEARTBEAT_MS = 15_000

/**
 * What happens to sagas, as Server-Sent Events: one for each event of a saga, with the saga as it is then. The `id` is its
 * position, so that a client that comes back with `Last-Event-ID` misses nothing; without that or `from`, one saga is told from
 * its start, several from now on. Besides there are `caught-up` (there is nothing more now), and comments.
 *
 * @param closing - ends it, without an error
 */
export async function sagaStream(
  request: IncomingMessage,
  manage: Sagas,
  which: Pick<FollowSagasOptions, 'id' | 'saga'>,
  closing: AbortSignal,
): Promise<Reply> {
  const query = queryOf(request)
  const refused = refuseUnknown(query, [...(which.saga === undefined ? ['saga'] : []), 'from'])
  if (refused) return refused
  const last = [request.headers['last-event-id'] ?? ''].flat()[0]!
  const from = last === '' ? (query.get('from') ?? (which.id === undefined ? 'end' : '0')) : last
  const saga = which.saga ?? query.get('saga')
  if (which.id !== undefined) await manage.show(which.id)
  const left = new AbortController()
  const signal = AbortSignal.any([signalOf(request), closing, left.signal])
  const options = { ...which, ...(saga !== null && { saga }), from, signal }
  const batches = manage.follow(options)[Symbol.asyncIterator]()
  // What is wrong with the request shows here, while there is still a status to tell it with.
  const first = batches.next()
  await raceWithTimer(systemClock, first, HEARTBEAT_MS)
  return {
    status: 200,
    type: 'text/event-stream',
    headers: { 'X-Accel-Buffering': 'no' },
    body: parts(first, batches, left),
  }
}

async function* parts(
  first: Promise<IteratorResult<SagaChanges>>,
  batches: AsyncIterator<SagaChanges>,
  left: AbortController,
): AsyncGenerator<Buffer> {
  try {
    yield Buffer.from(': follows\n\n')
    for (let next = first; ;) {
      const result = await raceWithTimer(systemClock, next, HEARTBEAT_MS)
      if (isPassed(result)) {
        yield Buffer.from(':\n\n')
        continue
      }
      if (result.done) return
      yield Buffer.from(textOf(result.value))
      next = batches.next()
    }
  } finally {
    left.abort()
    await batches.return?.()
  }
}

function textOf({ changes, position, caughtUp }: SagaChanges): string {
  const events = changes.map((change) => `id: ${change.position}\ndata: ${JSON.stringify(change)}\n\n`)
  if (caughtUp) events.push(`id: ${position}\nevent: caught-up\ndata: {}\n\n`)
  else if (position !== changes.at(-1)?.position) events.push(`id: ${position}\n\n`)
  return events.join('')
}
