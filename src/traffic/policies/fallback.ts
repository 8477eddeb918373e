import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import {
  definePolicy,
  isGivenUp,
  type CallContext,
  type Handler,
  type IsFailure,
  type Policy,
} from '../policy.js'

/** Options of {@link fallback}. Give `value` or `use`, `lastGood`, or both; then the last good result comes first. */
export interface FallbackOptions<F> {
  /** Returned instead of a failure. */
  value?: F
  /** Called instead of a failure; what it returns is returned, what it throws is thrown with the failure as `cause`. */
  use?: (error: unknown, value: unknown, context: CallContext) => F | PromiseLike<F>
  /** Returns the last good result of the same `key` again. Only for results that can be used more than once. */
  lastGood?: {
    /** Older results are not returned, in ms or as text. */
    maxAge: Duration
    /** Keys held; the one not used for longest is forgotten first. Default 1000. */
    maxKeys?: number
  }
  /** Which outcomes are replaced. Default: every error, refusals included. */
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
 * Every use is counted: a fallback that works well hides a failure that somebody should see.
 *
 * @throws from `execute`: the failure itself if there is no alternative for it; what `use` throws
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
  const kept = new Map<string, { value: unknown; at: number }>()
  const used = telemetry.counter('banyan.fallback.used', {
    description: 'Failures that were answered with an alternative.',
    unit: '{call}',
    attributes: { 'banyan.policy': name },
  })

  const keep = (key: string, value: unknown): void => {
    kept.delete(key)
    kept.set(key, { value, at: clock.now() })
    if (kept.size > maxKeys) kept.delete(kept.keys().next().value!)
  }

  /** The alternative, or `undefined` if there is none. */
  const alternative = (call: CallContext, error: unknown, value: unknown): { value: unknown } | undefined => {
    const last = lastGood && kept.get(call.key ?? '')
    if (last && clock.now() - last.at <= maxAge) return last
    if (hasValue) return { value: fixed }
    return use ? { value: callUse(use, error, value, call) } : undefined
  }

  return definePolicy<F>(
    name,
    <T>(next: Handler<T>): Handler<T | F> =>
      (call) =>
        next(call).then(
          (value) => {
            if (!isFailure(undefined, value)) {
              if (lastGood) keep(call.key ?? '', value)
              return value
            }
            const found = alternative(call, undefined, value)
            if (!found) return value
            used.add(1)
            return found.value as F
          },
          (error: unknown) => {
            if (isGivenUp(call) || !isFailure(error, undefined)) throw error
            const found = alternative(call, error, undefined)
            if (!found) throw error
            used.add(1)
            return found.value as F
          },
        ),
  )
}

/** A failure of the alternative must not hide why it was needed. */
async function callUse<F>(
  use: NonNullable<FallbackOptions<F>['use']>,
  error: unknown,
  value: unknown,
  context: CallContext,
): Promise<F> {
  try {
    return await use(error, value, context)
  } catch (failure) {
    if (error !== undefined && failure instanceof Error && failure.cause === undefined && failure !== error) {
      failure.cause = error
    }
    throw failure
  }
}
