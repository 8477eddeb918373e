import { eventError, isPassing } from '../errors.js'
import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { OptionTable } from '../../core/options.js'
import type { EventLog, EventShape, StreamAppend } from '../log.js'
import type { Delivery } from './engine/delivery.js'
import type { Engine } from './engine/engine.js'
import { withMiddleware, type Handler, type Message, type Middleware } from './message.js'
import type { Settings } from './options.js'

/** Until what could not be appended is tried again, in ms. */
const AGAIN_MS = 100

class DeadLetterError extends Error {}

/**
 * What a handler throws whose message will never be handled: it becomes a dead letter at once, without another try.
 *
 * @param reason - for people
 */
export function deadLetter(reason: string): Error {
  return new DeadLetterError(reason)
}

/** How a handler is called. */
export interface HandleOptions {
  /** How many messages it handles at the same time, of different keys. Default 64. */
  concurrency?: number
  /** Around the handler, the first outermost. */
  middleware?: readonly Middleware[]
}

/** What {@link HandleOptions} accept. */
export const HANDLE_OPTIONS: OptionTable<HandleOptions> = {
  concurrency: { kind: 'number', min: 1, integer: true, doc: 'messages at the same time' },
  middleware: {
    kind: 'list',
    of: { kind: 'code', type: 'function', doc: 'one layer' },
    doc: 'around the handler',
  },
}

/** Gives a handler one message after the other, until what is returned is called. */
export function handleAll(
  log: EventLog,
  engine: Engine,
  settings: Settings,
  handler: Handler,
  { concurrency = 64, middleware = [] }: HandleOptions,
): () => void {
  const run = withMiddleware(handler, middleware)
  const cancel = new Set<() => void>()
  const drops = new Drops(settings)
  let isStopped = false
  const next = (): void => {
    if (isStopped) return
    const forget = engine.take((delivery) => {
      cancel.delete(forget)
      delivery.onEnd = next
      void handleOne(log, settings, run, delivery, drops)
    })
    cancel.add(forget)
  }
  for (let count = 0; count < concurrency; count++) next()
  return () => {
    isStopped = true
    for (const forget of cancel) forget()
  }
}

/** Tells once that what handlers return is not appended. */
class Drops {
  readonly #settings: Settings
  #isTold = false

  constructor(settings: Settings) {
    this.#settings = settings
  }

  look(result: unknown): void {
    if (!Array.isArray(result) || result.length === 0 || this.#isTold) return
    this.#isTold = true
    const { name, delivery, runtime } = this.#settings
    runtime.telemetry.log(
      'error',
      `subscription ${name}: what its handler returns is not appended, as its delivery is ${delivery}; with effectively-once it is`,
    )
  }
}

/** What cannot be written down comes again, and whoever writes has said so. */
function isTold(): void {
  // Nothing is left to do.
}

async function handleOne(
  log: EventLog,
  settings: Settings,
  handler: Handler,
  delivery: Delivery,
  drops: Drops,
): Promise<void> {
  try {
    const result: unknown = await handler(delivery.event, delivery)
    if (settings.delivery === 'effectively-once') await append(log, settings, delivery, result)
    else drops.look(result)
    await delivery.end({ is: 'handled' }, 'it was handled').catch(isTold)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    const is = error instanceof DeadLetterError ? 'rejected' : 'failed'
    await delivery.end({ is, reason }, 'handling it has failed').catch(isTold)
  }
}

/** Appends what a handler returned, under an id that is the same for every try. */
async function append(
  log: EventLog,
  { name, runtime }: Settings,
  delivery: Delivery,
  result: unknown,
): Promise<void> {
  if (result === undefined) return
  if (!Array.isArray(result))
    throw eventError(
      'BANYAN_INVALID_COMMIT',
      `a handler with effectively-once delivery returns a list of streams with events, or nothing, not ${JSON.stringify(result)}`,
    )
  const streams = result as readonly StreamAppend[]
  if (streams.length === 0) return
  for (;;) {
    try {
      const appended = await log.append({ id: `${name}/${delivery.event.id}`, streams })
      if (appended.ok) return
      const [conflict] = appended.conflicts
      throw eventError(
        'BANYAN_CONFLICT',
        `${conflict!.stream} is at revision ${conflict!.actual}, not at ${conflict!.expected}`,
      )
    } catch (error) {
      // An earlier try has appended something else: that stays.
      if (error instanceof BanyanError && error.code === 'BANYAN_COMMIT_OVERLAP') return
      // That the log cannot be reached says nothing of the message.
      if (!isPassing(error)) throw error
      await sleep(runtime.clock, AGAIN_MS, delivery.signal)
    }
  }
}

/**
 * Messages one by one, as they are asked for.
 *
 * @param ended - when it aborts, its reason is thrown; `signal` aborts with it
 */
export async function* messagesOf<Event extends EventShape>(
  engine: Engine,
  signal: AbortSignal,
  ended: AbortSignal,
): AsyncGenerator<Message<Event>, void, undefined> {
  while (!signal.aborted) {
    const delivery = await takeOne(engine, signal)
    if (delivery) yield delivery as unknown as Message<Event>
  }
  ended.throwIfAborted()
}

/** The next message; undefined if the signal aborts first. */
function takeOne(engine: Engine, signal: AbortSignal): Promise<Delivery | undefined> {
  return new Promise((resolve) => {
    const forget = engine.take((delivery) => {
      signal.removeEventListener('abort', onAbort)
      resolve(delivery)
    })
    const onAbort = (): void => {
      forget()
      resolve(undefined)
    }
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** Up to so many messages: what is there, or what comes first until the signal aborts. */
export function takeSome(engine: Engine, max: number, signal: AbortSignal): Promise<Delivery[]> {
  return new Promise((resolve) => {
    const taken: Delivery[] = []
    const forget: (() => void)[] = []
    const end = (): void => {
      signal.removeEventListener('abort', end)
      for (const cancel of forget) cancel()
      resolve(taken)
    }
    const take = (delivery: Delivery): void => {
      // All that are ready are handed out before the microtasks run.
      if (taken.push(delivery) === 1) queueMicrotask(end)
    }
    for (let count = 0; count < max; count++) forget.push(engine.take(take))
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
  })
}
