import type { HandlerAnswer, HandlerRequest } from '../../core/http-handler.js'
import type { Message } from '../pubsub/index.js'
import { JSON_TYPE } from './accept.js'
import { JsonRequest } from './json-request.js'
import { LONGEST_WAIT } from './parameters.js'
import { ALWAYS } from './read.js'
import { findSubscription, type PulledSubscription } from './subscriptions.js'
import type { EventsSurroundings } from './surroundings.js'

/** The most messages of one answer. */
const MOST_MESSAGES = 1000

/** Parts of the answer are about so long. */
const PART_LENGTH = 64 * 1024

/**
 * Gives messages of a subscription to a client: what is there, or what comes first while it waits. Messages whose answer
 * the client has not taken in full are delivered again at once, and that
 * was no try.
 */
export async function pullMessages(
  request: HandlerRequest,
  name: string,
  surroundings: EventsSurroundings,
): Promise<HandlerAnswer> {
  const subscription = findSubscription(name, surroundings)
  const wanted = await JsonRequest.read(request, ['max', 'wait'])
  const max = wanted.count('max', MOST_MESSAGES) ?? 1
  const wait = wanted.time('wait', LONGEST_WAIT) ?? 0
  const signal = AbortSignal.any([request.signal, surroundings.closing])
  const messages = await subscription.pull({ max, wait, signal })
  const body = parts(messages, subscription, surroundings)
  if (request.signal.aborted) giveBack(messages)
  return { status: 200, fields: [['Content-Type', JSON_TYPE], ...ALWAYS], body }
}

// eslint-disable-next-line @typescript-eslint/require-await -- waits only for whoever takes it
async function* parts(
  messages: readonly Message[],
  subscription: PulledSubscription,
  surroundings: EventsSurroundings,
): AsyncGenerator<Buffer> {
  let isTaken = false
  try {
    let part = '{"messages":['
    for (const [index, message] of messages.entries()) {
      part += `${index === 0 ? '' : ','}${textOf(message, subscription, surroundings)}`
      if (part.length < PART_LENGTH) continue
      yield Buffer.from(part)
      part = ''
    }
    yield Buffer.from(`${part}]}`)
    isTaken = true
  } finally {
    if (!isTaken) giveBack(messages)
  }
}

function textOf(
  message: Message,
  { deliveries, deadline }: PulledSubscription,
  { clock, textOf: eventText }: EventsSurroundings,
): string {
  const { attempt, key, event } = message
  const head = {
    delivery: deliveries.add(message),
    attempt,
    ...(key !== undefined && { key }),
    deadline: new Date(clock.wall() + deadline).toISOString(),
  }
  return `${JSON.stringify(head).slice(0, -1)},"event":${eventText(event)}}`
}

/** Nobody has begun with them. */
function giveBack(messages: readonly Message[]): void {
  // One may have ended meanwhile: then it comes again anyway.
  for (const message of messages) message.release().catch(() => undefined)
}
