import type { HandlerAnswer, HandlerRequest } from '../../core/http-handler.js'
import { BanyanError } from '../../core/errors.js'
import type { Message } from '../pubsub/index.js'
import { JSON_TYPE } from './accept.js'
import type { Deliveries } from './deliveries.js'
import { JsonRequest } from './json-request.js'
import type { Operation } from './path.js'
import { problem } from './problem.js'
import { ALWAYS } from './read.js'
import { findSubscription } from './subscriptions.js'
import type { EventsSurroundings } from './surroundings.js'

const MOST_DELIVERIES = 1000
/** The longest that a client may keep a message to itself without saying that it is still there. */
const LONGEST_EXTENSION = 12 * 3_600_000
const LONGEST_DELAY = 7 * 24 * 3_600_000
const LONGEST_REASON = 1000

type Settling = Exclude<Operation, 'pull'>

/** What can be said besides the deliveries. */
const NAMES: Readonly<Record<Settling, readonly string[]>> = {
  ack: [],
  nack: ['delay', 'reason'],
  release: [],
  extend: ['time'],
  reject: ['reason'],
}

/** What became of one delivery. */
interface Result {
  delivery: string
  ok: boolean
  problem?: string
  detail?: string
}

/**
 * Settles deliveries, or extends their deadlines, each for itself.
 *
 * @returns 200 with the result of each, durable; a problem of 409 with the same as `results` if one of them had ended
 */
export async function settleDeliveries(
  request: HandlerRequest,
  name: string,
  operation: Settling,
  surroundings: EventsSurroundings,
): Promise<HandlerAnswer> {
  const { deliveries } = findSubscription(name, surroundings)
  const body = await JsonRequest.read(request, ['deliveries', ...NAMES[operation]])
  const ids = body.texts('deliveries', MOST_DELIVERIES)
  const settle = settling(operation, body, deliveries)
  const results = await Promise.all(ids.map((id) => resultOf(id, settle)))
  const ended = results.filter(({ ok }) => !ok).length
  if (ended === 0)
    return {
      status: 200,
      fields: [['Content-Type', JSON_TYPE], ...ALWAYS],
      body: Buffer.from(JSON.stringify({ results })),
    }
  throw problem(
    409,
    'delivery-ended',
    `${ended} of ${ids.length} ${ids.length === 1 ? 'delivery' : 'deliveries'} had ended before; what comes of it now does not count.`,
    { extensions: { results } },
  )
}

/** @throws a problem of 400 if it is not said as it must be */
function settling(
  operation: Settling,
  body: JsonRequest,
  deliveries: Deliveries,
): (id: string) => Promise<void> {
  const settle = (end: (message: Message) => Promise<void>) => (id: string) =>
    deliveries.settle(id, operation, end)
  const reason = (): string | undefined => body.text('reason', LONGEST_REASON)
  if (operation === 'ack') return settle((message) => message.ack())
  if (operation === 'release') return settle((message) => message.release())
  if (operation === 'nack') {
    const [delay, why] = [body.time('delay', LONGEST_DELAY), reason()]
    const how = { ...(delay !== undefined && { delay }), ...(why !== undefined && { reason: why }) }
    return settle((message) => message.nack(how))
  }
  if (operation === 'reject') {
    const why = reason()
    if (why === undefined)
      throw problem(
        400,
        'invalid-request',
        'The body must say the `reason`, for whoever finds the dead letter.',
      )
    return settle((message) => message.reject(why))
  }
  const time = body.time('time', LONGEST_EXTENSION)
  return (id) => {
    deliveries.find(id).extend(time)
    return Promise.resolve()
  }
}

async function resultOf(id: string, settle: (id: string) => Promise<void>): Promise<Result> {
  try {
    await settle(id)
    return { delivery: id, ok: true }
  } catch (error) {
    if (!(error instanceof BanyanError) || error.code !== 'BANYAN_DELIVERY_ENDED') throw error
    return { delivery: id, ok: false, problem: 'delivery-ended', detail: error.message }
  }
}
