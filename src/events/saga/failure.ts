import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'

/**
 * What a failure says of the call that has failed, which decides what becomes of it:
 *
 * | class | it has happened | it is tried again | once it has failed for good, its own compensation |
 * |---|---|---|---|
 * | `terminal` | no | no | is not needed |
 * | `retryable` | no | yes | is not needed, if every try was like that |
 * | `unknown` | perhaps | yes, with the same idempotency key | runs |
 * | `cancelled` | perhaps: the saga was cancelled while it ran | no | runs |
 */
export type FailureClass = 'terminal' | 'retryable' | 'unknown' | 'cancelled'

/** Modules that users load may have another copy of this one, whose failures count as well. */
const FAILURE = Symbol.for('banyan.saga.failure')

/** An error that says which class of failure it is. */
export class SagaFailure extends Error {
  readonly [FAILURE] = true
  readonly class: FailureClass
  /** ms until another try makes sense, if that is known. */
  readonly after: number | undefined

  constructor(
    kind: FailureClass,
    message: string,
    { after, cause }: { after?: number; cause?: unknown } = {},
  ) {
    super(message, cause === undefined ? {} : { cause })
    this.name = 'SagaFailure'
    this.class = kind
    this.after = after
  }
}

export function isSagaFailure(error: unknown): error is SagaFailure {
  return error instanceof Error && FAILURE in error
}

/**
 * Nothing was done, and never will be: a card that was refused, an article that is not sold. It is not tried again, and the
 * saga is compensated if its code does not handle it.
 *
 * @param why - for people, or what was thrown
 */
export function terminal(why: unknown): Error {
  return new SagaFailure('terminal', messageOf(why), { cause: why })
}

/**
 * Nothing was done, and it may work later: refused before it began.
 *
 * @param why - for people, or what was thrown
 * @param options.after - not before so much time has passed
 */
export function retryable(why: unknown, { after }: { after?: Duration } = {}): Error {
  return new SagaFailure('retryable', messageOf(why), {
    ...(after !== undefined && { after: duration(after, 'retryable: after') }),
    cause: why,
  })
}

/** What is refused before anything was sent. */
const NOT_SENT = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])
const NOT_DONE = new Set([
  'BANYAN_BREAKER_OPEN',
  'BANYAN_BULKHEAD_FULL',
  'BANYAN_RATE_LIMITED',
  'BANYAN_NO_ENDPOINT',
  'BANYAN_POOL_FULL',
  'BANYAN_UPSTREAM_CONNECT',
  'BANYAN_LOG_OVERLOADED',
  'BANYAN_LOG_FULL',
  'BANYAN_LOG_LOCKED',
])
/** What will be refused each time. */
const REFUSED = new Set([
  'BANYAN_INVALID_OPTIONS',
  'BANYAN_INVALID_COMMIT',
  'BANYAN_INVALID_EVENT',
  'BANYAN_EVENT_TOO_LARGE',
  'BANYAN_UNKNOWN_EVENT_TYPE',
  'BANYAN_INVALID_INPUT',
  'BANYAN_UNKNOWN_HANDLER',
])

const CLASSES: ReadonlySet<unknown> = new Set<FailureClass>(['terminal', 'retryable', 'unknown', 'cancelled'])

export function isClass(value: unknown): value is FailureClass {
  return CLASSES.has(value)
}

/** Anything can be thrown, also what throws when it is looked at. */
function looking<Seen>(look: () => Seen, otherwise: Seen): Seen {
  try {
    return look()
  } catch {
    return otherwise
  }
}

/**
 * The class of what a step has thrown: as it says itself; `retryable` if a policy or the network says that nothing was sent;
 * `terminal` if it was refused as what it is; else `unknown`, as nobody knows.
 */
export function classOf(error: unknown): FailureClass {
  return looking(() => classFrom(error), 'unknown')
}

function classFrom(error: unknown): FailureClass {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if (isSagaFailure(at)) return at.class
    const { code } = at as { code?: unknown }
    if (typeof code !== 'string') continue
    if (NOT_SENT.has(code) || NOT_DONE.has(code)) return 'retryable'
    if (REFUSED.has(code)) return 'terminal'
  }
  return 'unknown'
}

/** ms that an error asks to be waited, if it does. */
export function afterOf(error: unknown): number | undefined {
  return looking(() => {
    const { after, retryAfter } = (error ?? {}) as { after?: unknown; retryAfter?: unknown }
    const ms = after ?? retryAfter
    return typeof ms === 'number' && ms >= 0 ? ms : undefined
  }, undefined)
}

/** Answers that say that nothing was done and that it may work later. */
const LATER = new Set([408, 425, 429, 503])

/**
 * Checks the answer of an HTTP service: one that is fine is returned, any other thrown as the failure that it is. 408, 425,
 * 429 and 503 are retryable (after `Retry-After`, if it says so in seconds), all others of 4xx and 501 terminal, other 5xx
 * unknown.
 *
 * @param response - of `fetch`
 * @throws the failure, with what the answer says (RFC 9457 `detail`, or the beginning of its text)
 */
export async function answered<Answer extends HttpAnswer>(response: Answer): Promise<Answer> {
  const { status } = response
  if (status < 400) return response
  const text = await response.text().catch(() => '')
  const why = `answered with ${status}: ${detailOf(text)}`
  if (LATER.has(status)) {
    const seconds = Number(response.headers.get('retry-after') ?? NaN)
    throw retryable(why, Number.isFinite(seconds) && seconds >= 0 ? { after: seconds * 1000 } : {})
  }
  if (status < 500 || status === 501) throw terminal(why)
  throw new SagaFailure('unknown', why)
}

/** What is needed of a `Response`. */
export interface HttpAnswer {
  readonly status: number
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

const MOST_TEXT = 300

function detailOf(text: string): string {
  try {
    const { detail, title } = JSON.parse(text) as { detail?: unknown; title?: unknown }
    if (typeof detail === 'string') return detail
    if (typeof title === 'string') return title
  } catch {
    // Not every answer is a problem document.
  }
  return text.slice(0, MOST_TEXT) || 'nothing is said'
}

/** An error as it is kept. */
export interface ErrorInfo {
  readonly message: string
  readonly code?: string
  readonly name?: string
}

const MOST_MESSAGE = 1000

export function infoOf(error: unknown): ErrorInfo {
  return looking(() => infoFrom(error), { message: 'something was thrown that cannot be shown' })
}

function infoFrom(error: unknown): ErrorInfo {
  const { name } = (error ?? {}) as { name?: unknown }
  // What a failure was made of says more than that it is one.
  const { code } = ((isSagaFailure(error) ? error.cause : error) ?? {}) as { code?: unknown }
  return {
    message: messageOf(error).slice(0, MOST_MESSAGE),
    ...(typeof code === 'string' && { code }),
    ...(typeof name === 'string' && name !== 'Error' && name !== 'SagaFailure' && { name }),
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error))
    return looking(() => String(error), 'something was thrown that cannot be shown')
  const { cause } = error
  // `fetch failed` alone helps nobody.
  const why = cause instanceof Error && !(error instanceof BanyanError) && !isSagaFailure(error)
  return why ? `${error.message}: ${cause.message}` : error.message
}

/** What the code of a saga gets of a step that has failed for good; also of a child, and of a signal that did not come. */
export class StepFailedError extends BanyanError {
  readonly step: string
  readonly class: FailureClass

  constructor(step: string, kind: FailureClass, { message }: ErrorInfo) {
    super('BANYAN_SAGA_STEP_FAILED', `${step} has failed (${kind}): ${message}`)
    this.step = step
    this.class = kind
  }
}
