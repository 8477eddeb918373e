import { RejectedError, TimeoutError } from './errors.js'

/**
 * The port of the traffic plane: a policy wraps any asynchronous call.
 *
 * Laws:
 * - A policy makes the call at most once per `next`, or refuses it with a `RejectedError`: then nothing was done.
 * - A policy passes the caller's cancellation on, and never waits for longer than the call's deadline.
 * - A policy holds no reference to a call that has ended.
 * - Policies know nothing of each other; `pipeline` puts them in an order.
 */
export interface Policy<Alternative = never> {
  /** What metrics, errors and `banyan status` call it. */
  readonly name: string

  /**
   * Makes the call under this policy.
   *
   * @param work - the call; gets the context of its try, whose `signal` it should pass on
   * @param options - what the caller knows about the call
   * @returns what `work` returned, or the policy's alternative (a fallback's value)
   */
  execute<T>(work: Work<T>, options?: CallOptions): Promise<T | Alternative>

  /** Puts this policy around a handler; what `pipeline` and own policies build on. */
  wrap<T>(next: Handler<T>): Handler<T | Alternative>
}

/** The user's asynchronous function. */
export type Work<T> = (context: CallContext) => T | PromiseLike<T>

/** One layer of a pipeline, innermost the work itself. */
export type Handler<T = unknown> = (call: Call) => Promise<T>

/** What a caller may say about a call. */
export interface CallOptions {
  /** Cancels the call. */
  signal?: AbortSignal | undefined
  /** When the caller stops waiting, in ms on the scale of the runtime's `clock.now()`. Default: never. */
  deadline?: number | undefined
  /**
   * Whether doing the call twice does no harm. `false` forbids every second try that might reach the endpoint
   * twice. Default: not said; putting `retry` or `hedge` around a function then counts as permission.
   */
  idempotent?: boolean | undefined
  /** Whose call it is; a keyed rate limit counts by it. Default: one key for all. */
  key?: string | undefined
  /** What the call is about, for handlers and predicates of one's own; policies do not look at it. */
  subject?: unknown
}

/** What the work gets to know. */
export interface CallContext {
  /** Aborted when the caller gives up, a timeout passes, or another try has won. Made on first use. */
  readonly signal: AbortSignal
  /** When the answer stops being of use, in ms on the scale of `clock.now()`; `Infinity` if never. */
  readonly deadline: number
  /** The number of this try, from 1. */
  readonly attempt: number
  readonly idempotent: boolean | undefined
  readonly key: string | undefined
  readonly subject: unknown
  /**
   * Says that the work goes on after its result was returned (a body still streams): a bulkhead keeps the slot and
   * a breaker the verdict until `tail` settles; a rejection counts as a failure of this call. Said more than once,
   * all of the tails count.
   */
  waitUntil(tail: Promise<unknown>): void
}

/**
 * One try of a call as the policies see it. Calls form a tree: a policy that limits or repeats the work gives each
 * try a child of its own (`fork`). Cancellation goes down the tree. An `AbortController` costs more than all
 * policies together, so there is one only for a try whose work asks for its signal.
 */
export class Call implements CallContext {
  readonly work: Work<unknown>
  readonly idempotent: boolean | undefined
  /** May be found out while the call is on its way to the policies that count by it. */
  key: string | undefined
  readonly subject: unknown
  deadline: number
  attempt: number
  /** Settles when work that outlives its result has ended; see {@link CallContext.waitUntil}. */
  tail: Promise<unknown> | undefined = undefined
  /** The budget that has counted this call as a first try, so that policies that share one count it once. */
  counted: object | undefined
  readonly #parent: Call | undefined
  readonly #outer: AbortSignal | undefined
  #cancelled = false
  #reason: unknown = undefined
  #controller: AbortController | undefined = undefined
  /** Nearly always there is one listener at most; the set is for the rest. */
  #listener: (() => void) | undefined = undefined
  #listeners: Set<() => void> | undefined = undefined
  #unfollow: (() => void) | undefined = undefined

  constructor(work: Work<unknown>, options: CallOptions | undefined, parent?: Call) {
    this.work = work
    this.idempotent = options?.idempotent
    this.key = options?.key
    this.subject = options?.subject
    this.deadline = options?.deadline ?? Infinity
    this.attempt = parent?.attempt ?? 1
    this.counted = parent?.counted
    this.#parent = parent
    this.#outer = parent ? undefined : options?.signal
  }

  /** A child that can be cancelled without cancelling this one. `release` it when its result is in. */
  fork(): Call {
    return new Call(this.work, this, this)
  }

  get cancelled(): boolean {
    return this.#cancelled || (this.#outer?.aborted ?? this.#parent?.cancelled ?? false)
  }

  /** Why it was cancelled. */
  get reason(): unknown {
    if (this.#cancelled) return this.#reason
    return this.#outer ? (this.#outer.reason as unknown) : this.#parent?.reason
  }

  get signal(): AbortSignal {
    // Nobody below the caller can cancel a root call, so the caller's own signal says it all.
    if (this.#outer) return this.#outer
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.cancelled) this.#controller.abort(this.reason)
      else this.#follow()
    }
    return this.#controller.signal
  }

  /** Cancels this try and everything below it. */
  cancel(reason: unknown): void {
    if (this.cancelled) return
    this.#cancelled = true
    this.#reason = reason
    this.#notify()
  }

  /**
   * Calls `listener` once when this call is cancelled, at once if it already is.
   *
   * @returns takes the listener back
   */
  onCancel(listener: () => void): () => void {
    if (this.cancelled) {
      listener()
      return noop
    }
    this.#follow()
    if (this.#listener === undefined) this.#listener = listener
    else (this.#listeners ??= new Set()).add(listener)
    return () => {
      if (this.#listener === listener) this.#listener = undefined
      else this.#listeners?.delete(listener)
    }
  }

  waitUntil(tail: Promise<unknown>): void {
    this.tail = this.tail ? both(this.tail, tail) : tail
    // Policies may or may not look at it; a rejection nobody looks at is no fault of the process.
    this.tail.catch(noop)
  }

  /** Ends a child: its parent takes over the tail, if any, and stops notifying the child after that. */
  release(child: Call): void {
    if (child.tail) this.waitUntil(child.tail)
    child.#close()
  }

  /** Ends a child whose result is not used: it is cancelled, and how its tail ends is no part of this call. */
  drop(child: Call, reason: unknown): void {
    child.cancel(reason)
    child.#close()
  }

  /** Stops following whoever may cancel this call, as soon as nothing of it runs any more. */
  #close(): void {
    const unfollow = this.#unfollow
    if (!unfollow) return
    if (this.tail && !this.#cancelled) void this.tail.then(unfollow, unfollow)
    else unfollow()
  }

  /** Ends a root call. */
  end(): void {
    this.#close()
  }

  #follow(): void {
    if (this.#unfollow) return
    const cancelled = (): void => this.#notify()
    if (this.#parent) {
      this.#unfollow = this.#parent.onCancel(cancelled)
    } else if (this.#outer) {
      const outer = this.#outer
      outer.addEventListener('abort', cancelled, { once: true })
      this.#unfollow = () => outer.removeEventListener('abort', cancelled)
    }
  }

  #notify(): void {
    this.#controller?.abort(this.reason)
    const listener = this.#listener
    const listeners = this.#listeners
    this.#listener = this.#listeners = undefined
    listener?.()
    if (listeners) for (const listener of listeners) listener()
  }
}

/**
 * Makes a policy from what it puts around a handler.
 *
 * @param name - what metrics and errors call it
 * @param wrap - returns the handler that applies the policy; called once per place the policy stands in
 */
export function definePolicy<Alternative = never>(
  name: string,
  wrap: <T>(next: Handler<T>) => Handler<T | Alternative>,
): Policy<Alternative> {
  const run = wrap(invoke)
  return {
    name,
    wrap,
    execute: <T>(work: Work<T>, options?: CallOptions) =>
      start(run as Handler<T | Alternative>, work, options),
  }
}

/** Makes a call through a handler that a policy or pipeline has built. */
export function start<T>(run: Handler<T>, work: Work<unknown>, options: CallOptions | undefined): Promise<T> {
  if (options instanceof Call) return startInside(run, work, options)
  const signal = options?.signal
  const call = new Call(work, options)
  if (!signal) return run(call)
  if (signal.aborted) return Promise.reject(signal.reason)
  const end = (): void => call.end()
  const result = run(call)
  result.then(end, end)
  return result
}

/** A policy used inside another's work, with that work's context: a child of that call. */
function startInside<T>(run: Handler<T>, work: Work<unknown>, outer: Call): Promise<T> {
  if (outer.cancelled) return Promise.reject(outer.reason)
  const call = new Call(work, outer, outer)
  const end = (): void => outer.release(call)
  const result = run(call)
  result.then(end, end)
  return result
}

/** The innermost handler: the work itself. */
export const invoke: Handler<never> = (call) => {
  try {
    const result = call.work(call)
    return (result instanceof Promise ? result : Promise.resolve(result)) as Promise<never>
  } catch (error) {
    return Promise.reject(error)
  }
}

/**
 * Says whether an outcome is a failure of what was called. Every policy that judges outcomes takes one as
 * `isFailure`.
 *
 * @param error - what was thrown; `undefined` if the call returned
 * @param value - what was returned; `undefined` if the call threw
 */
export type IsFailure = (error: unknown, value: unknown) => boolean

/** The default: every error is a failure but a refusal (nothing was called); no value is. */
export const defaultIsFailure: IsFailure = (error) => error !== undefined && !(error instanceof RejectedError)

/**
 * For calls that return a `fetch` Response or anything else with a numeric `status`: errors are failures, and so
 * are the statuses 500 and above.
 */
export const httpIsFailure: IsFailure = (error, value) =>
  defaultIsFailure(error, value) || (statusOf(value) ?? 0) >= 500

/** The caller has given the call up. Unless it was a timeout that did, this says nothing about what was called. */
export function isGivenUp(call: Call): boolean {
  return call.cancelled && !(call.reason instanceof TimeoutError)
}

/** The numeric `status` of a response-like value. */
export function statusOf(value: unknown): number | undefined {
  const status = (value as { status?: unknown } | null | undefined)?.status
  return typeof status === 'number' ? status : undefined
}

/** Settles when both have; rejects if one of them does. */
async function both(first: Promise<unknown>, second: Promise<unknown>): Promise<void> {
  const ends = await Promise.allSettled([first, second])
  for (const end of ends) if (end.status === 'rejected') throw end.reason
}

function noop(): void {
  // nothing to take back
}
