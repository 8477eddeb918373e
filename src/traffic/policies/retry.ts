import { budgetKind, budgetOf, countFirstTry, type BudgetOption } from '../budget.js'
import { duration, type Duration } from '../../core/duration.js'
import { withoutStack } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { RejectedError, UpstreamError } from '../errors.js'
import {
  defaultIsFailure,
  definePolicy,
  type Call,
  type Handler,
  type IsFailure,
  type Policy,
} from '../policy.js'
import { backoff, backoffOptions, type Backoff, type BackoffOptions } from './retry/backoff.js'
import { retryAfterOf } from './retry/retry-after.js'

export type { BackoffOptions } from './retry/backoff.js'

/** Options of {@link retry}. */
export interface RetryOptions {
  /** Tries in all, the first one included. Default 3. */
  attempts?: number
  /** How long to wait between tries. Default: from 25 ms, doubling, to 1 s, with full jitter. */
  backoff?: BackoffOptions
  /** Which outcomes are worth another try. Default: every error but a refusal. */
  isFailure?: IsFailure
  /**
   * ms that the outcome itself asks to wait; the backoff comes on top, so that callers who were sent away together
   * do not come back together. Default: the `Retry-After` header of a Response-like value, or a numeric `retryAfter`
   * of an error.
   */
  retryAfter?: (error: unknown, value: unknown) => number | undefined
  /** An outcome that asks to wait for longer than this is not tried again, in ms or as text. Default `'30s'`. */
  maxRetryAfter?: Duration
  /**
   * What all calls together may add in tries: options of an own budget, a budget to share, or `false` for no limit.
   * Default: one extra try for five calls, and three a second in any case.
   */
  budget?: BudgetOption
  /** What metrics and errors call it. Default `'retry'`. */
  name?: string
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** What {@link retry} accepts, for checks, schemas and docs. */
export const retryOptions: OptionTable<RetryOptions> = {
  attempts: {
    kind: 'number',
    min: 1,
    max: 100,
    integer: true,
    doc: 'Tries in all, the first one included. Default 3.',
  },
  backoff: { kind: 'group', options: backoffOptions, doc: 'How long to wait between tries.' },
  isFailure: { kind: 'code', type: 'function', doc: 'Which outcomes are worth another try.' },
  retryAfter: { kind: 'code', type: 'function', doc: 'ms that an outcome asks to wait.' },
  maxRetryAfter: { kind: 'duration', doc: 'Longest wait that an outcome may ask for. Default 30s.' },
  budget: budgetKind('Bounds the extra tries of all calls together. Default: 0.2 a call, and 3 a second.'),
  name: { kind: 'string', doc: 'Name in metrics and errors.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time, chance and telemetry.' },
}

/**
 * Tries again what has failed and may work the next time.
 *
 * Between tries it waits, longer each time and by chance (full jitter), and at least as long as the answer asks for.
 * Refusals of policies inside it are not failures and not retried, unless `isFailure` says so. It does not try again
 * - when the caller has given up, or would have before the next try begins: the last outcome is the result at once;
 * - when the call is not idempotent (`idempotent: false`) and may have reached the endpoint;
 * - when the budget is used up, so that retries of all calls together stay a bounded share of the load.
 *
 * Each try gets a context of its own with its `attempt` number. When a try is dropped for another one its signal is
 * aborted: a body that nobody will read is closed, and what the try left running ends.
 *
 * Source: Brooker, "Exponential backoff and jitter" (AWS, 2015); the budget as in Finagle.
 *
 * @throws from `execute`: what the last try threw, as it is; the signal's reason if the caller gives up between tries
 */
export function retry(options: RetryOptions = {}): Policy {
  checkOptions('retry', retryOptions, options)
  const { attempts = 3, isFailure = defaultIsFailure, name = 'retry', runtime = systemRuntime } = options
  const budget = budgetOf(options.budget, {}, runtime)
  const waits = backoff(options.backoff ?? {}, runtime.random)
  const maxRetryAfter = duration(options.maxRetryAfter ?? '30s', 'retry: maxRetryAfter')
  const { clock, telemetry } = runtime
  const attributes = { 'banyan.policy': name }
  const retries = telemetry.counter('banyan.retry.attempts', {
    description: 'Tries beyond the first one.',
    unit: '{try}',
    attributes,
  })
  const exhausted = telemetry.counter('banyan.retry.budget_exhausted', {
    description: 'Tries that were not made because the budget was used up.',
    unit: '{try}',
    attributes,
  })
  const askedWait =
    options.retryAfter ?? ((error: unknown, value: unknown) => retryAfterOf(error, value, clock))

  /** ms to wait before the next try, or `undefined` if there is to be none. */
  const nextWait = (
    call: Call,
    attempt: number,
    wait: Backoff,
    error: unknown,
    value: unknown,
  ): number | undefined => {
    if (attempt >= attempts || call.cancelled) return undefined
    if (!isFailure(error, value) || isOutOfTime(error)) return undefined
    if (call.idempotent === false && !wasNotSent(error)) return undefined
    const asked = askedWait(error, value) ?? 0
    if (asked > maxRetryAfter) return undefined
    // An error's own `retryAfter` may be anything, also not a number.
    const ms = wait() + (asked > 0 ? asked : 0)
    if (call.deadline !== Infinity && clock.now() + ms >= call.deadline) return undefined
    if (budget && !budget.withdraw()) {
      exhausted.add(1)
      return undefined
    }
    return ms
  }

  return definePolicy(name, <T>(next: Handler<T>): Handler<T> => {
    const again = (call: Call, failed: Call, wait: Backoff, attempt: number, ms: number): Promise<T> => {
      call.drop(failed, DROPPED)
      return pause(call, ms, runtime).then(() => {
        retries.add(1)
        return tryOnce(call, wait, attempt + 1)
      })
    }
    const tryOnce = (call: Call, wait: Backoff | undefined, attempt: number): Promise<T> => {
      const child = call.fork()
      child.attempt = attempt
      return next(child).then(
        (value) => {
          // No function is called for a value that no predicate wants to see.
          if (isFailure !== defaultIsFailure) {
            const backoffs = wait ?? waits()
            const ms = nextWait(call, attempt, backoffs, undefined, value)
            if (ms !== undefined) return again(call, child, backoffs, attempt, ms)
          }
          call.release(child)
          return value
        },
        (error: unknown) => {
          const backoffs = wait ?? waits()
          const ms = nextWait(call, attempt, backoffs, error, undefined)
          if (ms !== undefined) return again(call, child, backoffs, attempt, ms)
          call.release(child)
          throw error
        },
      )
    }
    return (call) => {
      countFirstTry(budget, call)
      return tryOnce(call, undefined, 1)
    }
  })
}

/** Why the signal of a try is aborted that another one follows. */
const DROPPED = withoutStack(() => new Error('This try failed and another one follows'))

/** There is no time for the call: there will not be more the next time. */
function isOutOfTime(error: unknown): boolean {
  return error instanceof RejectedError && error.code === 'BANYAN_DEADLINE_EXCEEDED'
}

/** It is certain that the endpoint saw nothing of the call. */
function wasNotSent(error: unknown): boolean {
  return error instanceof RejectedError || (error instanceof UpstreamError && !error.sent)
}

/** Waits, unless the call is cancelled first. */
function pause(call: Call, ms: number, { clock }: Runtime): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = clock.schedule(clock.now() + ms, () => {
      forget()
      resolve()
    })
    const forget = call.onCancel(() => {
      timer.cancel()
      reject(call.reason)
    })
  })
}
