import { duration, type Duration } from '../../core/duration.js'
import { BanyanError, withoutStack } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Attributes } from '../../core/telemetry.js'
import { FallbackError } from '../errors.js'
import {
  definePolicy,
  type Call,
  type CallContext,
  type Handler,
  type IsFailure,
  type Policy,
} from '../policy.js'

/** Options of {@link fallback}. Give `value` or `use`, `lastGood`, or both; then the last good result comes first. */
export interface FallbackOptions<F> {
  /** Returned instead of a failure. */
  value?: F
  /**
   * Called instead of a failure; what it returns is returned. It may read a failed `value` until its own promise
   * settles: then the try behind that value is aborted, unless `use` returned that very value. To let a failure pass,
   * throw the `error` it was given.
   */
  use?: (error: unknown, value: unknown, context: CallContext) => F | PromiseLike<F>
  /**
   * Returns the last good result of the same `key` again; calls without a key share one. Only for results that can
   * be used more than once: parsed data, not a `fetch` Response.
   */
  lastGood?: {
    /** Older results are not returned, in ms or as text. */
    maxAge: Duration
    /** Keys held; the one not used for longest is forgotten first. Default 1000. */
    maxKeys?: number
  }
  /** Which outcomes are replaced; the others are good. Default: every error, refusals included. */
  isFailure?: IsFailure
  /** What metrics and errors call it. Default `'fallback'`. */
  name?: string
  /** Time and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** What {@link fallback} accepts, for checks, schemas and docs. */
export const fallbackOptions: Omit<OptionTable<FallbackOptions<unknown>>, 'value'> = {
  use: { kind: 'code', type: 'function', doc: 'Called instead of a failure.' },
  lastGood: {
    kind: 'group',
    options: {
      maxAge: { kind: 'duration', doc: 'Older results are not returned.' },
      maxKeys: { kind: 'number', min: 1, integer: true, doc: 'Keys held. Default 1000.' },
    },
    doc: 'Returns the last good result again.',
  },
  isFailure: { kind: 'code', type: 'function', doc: 'Which outcomes are replaced.' },
  name: { kind: 'string', doc: 'Name in metrics and errors.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time and telemetry.' },
}

/** Every error, also a refusal: that is when an alternative is wanted most. */
const anyError: IsFailure = (error) => error !== undefined

/**
 * Gives an alternative where there would be a failure. Belongs outermost, so that it answers for every refusal of the
 * policies inside it. A call that its caller gave up is not answered for.
 *
 * Every use is counted, with its `banyan.fallback.source` (`value`, `use` or `last_good`): a fallback that works well
 * hides a failure that somebody should see.
 *
 * @throws from `execute`: the failure itself if there is no alternative for it; `FallbackError`
 *   (`BANYAN_FALLBACK_FAILED`) with both errors if `use` fails
 */
export function fallback<T>(
  options: FallbackOptions<T> & { lastGood: object } & { value?: never; use?: never },
): Policy
export function fallback<F>(options: FallbackOptions<F>): Policy<F>
export function fallback<F>(options: FallbackOptions<F>): Policy<F> {
  const { value: fixed, ...checked } = options
  checkOptions<Omit<FallbackOptions<F>, 'value'>>('fallback', fallbackOptions, checked)
  const { use, lastGood, isFailure = anyError, name = 'fallback', runtime = systemRuntime } = options
  const hasValue = 'value' in options
  if (!hasValue && !use && !lastGood) {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'fallback: one of value, use and lastGood is needed')
  }
  if (hasValue && use) {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'fallback: takes either value or use, not both')
  }
  const { clock, telemetry } = runtime
  const maxAge = lastGood ? duration(lastGood.maxAge, 'fallback: lastGood.maxAge') : 0
  const maxKeys = lastGood?.maxKeys ?? 1000
  const kept = new Map<string, Kept>()
  const used = telemetry.counter('banyan.fallback.used', {
    description: 'Failures that were answered with an alternative.',
    unit: '{call}',
    attributes: { 'banyan.policy': name },
  })

  const keep = (key: string, good: Kept): void => {
    kept.delete(key)
    kept.set(key, good)
    if (kept.size > maxKeys) kept.delete(kept.keys().next().value!)
  }

  const recall = (key: string): Kept | undefined => {
    const good = kept.get(key)
    if (!good) return undefined
    if (clock.now() - good.at > maxAge) {
      kept.delete(key)
      return undefined
    }
    keep(key, good)
    return good
  }

  const counted = (answer: F, source: Attributes): Promise<F> => {
    used.add(1, source)
    return Promise.resolve(answer)
  }

  /** The alternative, or `undefined` if there is none. */
  const alternative = (call: Call, error: unknown, value: unknown): Promise<F> | undefined => {
    if (call.cancelled) return undefined
    const good = lastGood && recall(call.key ?? '')
    if (good) return counted(good.value as F, LAST_GOOD)
    if (hasValue) return counted(fixed as F, VALUE)
    return use && ask(use, name, error, value, call).then((answer) => counted(answer, USE))
  }

  // Only a predicate of one's own finds values bad; for those the try must be one that can be aborted.
  const judgesValues = isFailure !== anyError

  return definePolicy<F>(name, <T>(next: Handler<T>): Handler<T | F> => {
    const onValue = (call: Call, child: Call, value: T): T | Promise<T | F> => {
      const failed = judgesValues && isFailure(undefined, value)
      if (!failed && lastGood) keep(call.key ?? '', { value, at: clock.now() })
      const answer = failed ? alternative(call, undefined, value) : undefined
      if (!answer) {
        if (child !== call) call.release(child)
        return value
      }
      return answer.then(
        (result) => {
          if (Object.is(result, value)) call.release(child)
          else call.drop(child, REPLACED)
          return result
        },
        (failure: unknown) => {
          call.drop(child, REPLACED)
          throw failure
        },
      )
    }
    const onError = (call: Call, child: Call, error: unknown): Promise<F> => {
      if (child !== call) call.release(child)
      const answer = isFailure(error, undefined) ? alternative(call, error, undefined) : undefined
      if (!answer) throw error
      return answer
    }
    return (call) => {
      const child = judgesValues ? call.fork() : call
      return next(child).then(
        (value) => onValue(call, child, value),
        (error: unknown) => onError(call, child, error),
      )
    }
  })
}

/** A good result, and when it came. */
interface Kept {
  value: unknown
  at: number
}

const VALUE = { 'banyan.fallback.source': 'value' }
const USE = { 'banyan.fallback.source': 'use' }
const LAST_GOOD = { 'banyan.fallback.source': 'last_good' }

/** Why the signal of a try is aborted whose value was replaced. */
const REPLACED = withoutStack(() => new Error('The result of this try was replaced by a fallback'))

/** A failure of the alternative must not hide why it was needed. */
async function ask<F>(
  use: NonNullable<FallbackOptions<F>['use']>,
  name: string,
  error: unknown,
  value: unknown,
  context: CallContext,
): Promise<F> {
  try {
    return await use(error, value, context)
  } catch (failure) {
    if (error !== undefined && failure === error) throw error
    throw new FallbackError(`${name}: the call failed, and so did its fallback`, error, failure)
  }
}
