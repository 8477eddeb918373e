import { checkOptions, type OptionTable } from '../../core/options.js'
import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { withoutStack } from '../../core/errors.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { rejected, TimeoutError } from '../errors.js'
import { definePolicy, type Call, type Handler, type Policy } from '../policy.js'

/** Options of {@link timeout}. */
export interface TimeoutOptions {
  /** How long the call may take, in ms or as text. */
  after: Duration
  /** What metrics and errors call it. Default `'timeout'`. */
  name?: string
  /** Time and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** What {@link timeout} accepts, for checks, schemas and docs. */
export const timeoutOptions: OptionTable<TimeoutOptions> = {
  after: { kind: 'duration', min: 1, doc: 'How long the call may take.' },
  name: { kind: 'string', doc: 'Name in metrics and errors.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time and telemetry.' },
}

/**
 * Bounds a call in time. When the time is up the caller is answered at once, the call's `signal` is aborted, and a
 * late result is dropped. Sets the call's deadline, so that everything below knows how much time is left: a retry
 * does not start what cannot end, a bulkhead does not queue it, the data plane tells the upstream.
 *
 * Outside `retry` it is the deadline of the whole call; inside, the timeout of each try. Use both.
 *
 * Costs one entry of a shared timer wheel, not a timer of its own.
 *
 * @param options - the time alone, in ms or as text such as `'3s'`, or {@link TimeoutOptions}
 * @throws from `execute`: `TimeoutError` (`BANYAN_TIMEOUT`) when the time has passed; `RejectedError`
 *   (`BANYAN_DEADLINE_EXCEEDED`) when the caller's deadline had passed before the call was made
 */
export function timeout(options: Duration | TimeoutOptions): Policy {
  const given: TimeoutOptions = typeof options === 'object' ? options : { after: options }
  checkOptions('timeout', timeoutOptions, given)
  const { name = 'timeout', runtime = systemRuntime } = given
  const after = duration(given.after, 'timeout: after')
  const { clock, telemetry } = runtime
  const timeouts = telemetry.counter('banyan.timeout.exceeded', {
    description: 'Calls that took longer than their timeout.',
    unit: '{call}',
    attributes: { 'banyan.policy': name },
  })

  return definePolicy(name, <T>(next: Handler<T>): Handler<T> => (call: Call): Promise<T> => {
    const now = clock.now()
    if (call.deadline <= now) {
      return Promise.reject(
        rejected('BANYAN_DEADLINE_EXCEEDED', `${name}: the deadline passed before the call`, name),
      )
    }
    const own = now + after
    const deadline = Math.min(own, call.deadline)
    const limited = call.fork()
    limited.deadline = deadline
    return new Promise<T>((resolve, reject) => {
      const timer = clock.schedule(deadline, () => {
        const waited = deadline - now
        const error = withoutStack(
          () => new TimeoutError(waited, `${name}: no result within ${formatDuration(waited)}`),
        )
        timeouts.add(1)
        reject(error)
        call.drop(limited, error)
      })
      next(limited).then(
        (value) => {
          timer.cancel()
          call.release(limited)
          resolve(value)
        },
        (error: unknown) => {
          timer.cancel()
          call.release(limited)
          reject(error)
        },
      )
    })
  })
}
