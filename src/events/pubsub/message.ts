import type { Duration } from '../../core/duration.js'
import type { EventShape, Recorded, RecordedEvent, StreamAppend } from '../log.js'

/** Under which fence something is done, and as which of its holders: what fences take as a claim. */
export interface Fencing {
  /** Of the fence: `orders/17` for the bucket 17 of the shard map `orders`. */
  readonly name: string
  /** The epoch of the owner, and `check`, which throws if it is lost by the clock. */
  readonly token: { readonly token: number; check(): void }
}

/** What a handler is told besides the event. */
export interface HandlerContext {
  /** What it is handled for. */
  readonly subscription: string
  /** Which try this is, from 1. */
  readonly attempt: number
  /** What its order goes by; undefined if it has none. */
  readonly key: string | undefined
  /** Aborts when the deadline has passed, or the subscription ends: whatever comes of it then does not count. */
  readonly signal: AbortSignal
  /**
   * As which owner of its bucket the message is handled, where a shard map assigns partitions: a claim for fences, so that
   * what is guarded refuses whatever arrives late from an owner of before.
   */
  readonly fencing?: Fencing | undefined
  /**
   * Moves the deadline: there is so much time from now on.
   *
   * @param time - default: as much as at the beginning
   */
  extend(time?: Duration): void
}

/**
 * Handles events, of a bus or of a subscription. Whatever it throws is a failure. With `effectively-once` delivery, what
 * it returns is appended, once for ever.
 */
export type Handler<Event extends EventShape = EventShape> = (
  event: Recorded<Event>,
  context: HandlerContext,
) => HandlerResult | Promise<HandlerResult>

// eslint-disable-next-line @typescript-eslint/no-invalid-void-type -- a handler may return nothing
export type HandlerResult = void | undefined | readonly StreamAppend[]

/** Stands around handlers: does something before and after `next`, or does not call it. */
export type Middleware = (
  event: RecordedEvent,
  context: HandlerContext,
  next: () => Promise<HandlerResult>,
) => Promise<HandlerResult>

/** How a message was not handled. */
export interface Nack {
  /** Until it is tried again; default as the backoff says. */
  delay?: Duration
  /** Why, for people. The first 1,000 characters are kept. */
  reason?: string
}

/** A message that was taken from a subscription. It is delivered again if it is not acknowledged in time. */
export interface Message<Event extends EventShape = EventShape> extends HandlerContext {
  readonly event: Recorded<Event>
  /** Names this delivery; another try has another one. */
  readonly id: string
  /**
   * It was handled. Resolves when that is durable.
   *
   * @throws `BANYAN_DELIVERY_ENDED` if that was not written, as its deadline has passed, the log was closed or does not take
   *   it, another process has taken over, or an operator has moved the subscription: it is, or was, delivered again. The
   *   same is true of `nack`, `release` and `reject`
   */
  ack(): Promise<void>
  /** It was not handled; it is tried again later, until its attempts are used up. */
  nack(how?: Nack): Promise<void>
  /**
   * Nobody has begun with it, as whoever took it is leaving: it comes again at once, and this was no try, as `released` is
   * none in AMQP 1.0. After ten in a row the next is a failed try: a message that makes everybody leave who takes it becomes
   * a dead letter in the end, too.
   */
  release(): Promise<void>
  /** It will never be handled: it becomes a dead letter at once. */
  reject(reason: string): Promise<void>
}

/** Puts middleware around a handler, the first outermost. */
export function withMiddleware(handler: Handler, middleware: readonly Middleware[]): Handler {
  return middleware.reduceRight<Handler>(
    (inner, layer) => (event, context) => layer(event, context, async () => inner(event, context)),
    handler,
  )
}
