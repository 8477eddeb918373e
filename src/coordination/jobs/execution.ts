import type { Timer } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import type { Lease } from '../coordinator.js'
import { coordinationError } from '../errors.js'
import { onAbort } from '../on-abort.js'
import type { JobContext } from './context.js'
import type { JobSettings } from './options.js'
import type { JobRun, JobOutcome } from './record.js'

/** How a run has ended. */
export interface Ending {
  readonly outcome: JobOutcome
  readonly error?: string
}

/** What a run depends on. */
export interface ExecutionContext {
  readonly lease: Lease
  readonly stopped: AbortSignal
  readonly taken: AbortSignal
  readonly clock: Runtime['clock']
  /** It was told to end, by its timeout or as its lease is lost, and goes on for that many ms by now. */
  readonly goesOn: (since: number, reason: unknown) => void
}

/** How long a run that was told to end may take for that, until it is said that it goes on; then each time twice as long. */
export const GRACE_MS = 5000
const LONGEST_GRACE_MS = 3_600_000

const ERROR_LENGTH = 500

/**
 * Runs a job, and waits until it has really ended: also if it was told to long before.
 *
 * @param around.stopped - tells it to end, for the reason that it has
 * @param around.taken - its key is gone, though its lease is not
 */
export async function execute(
  name: string,
  { run: work, timeout = Infinity }: JobSettings,
  { scheduledFor, attempt, token }: JobRun,
  { lease, stopped, taken, clock, goesOn }: ExecutionContext,
): Promise<Ending> {
  const ending = new AbortController()
  let told: JobOutcome | undefined
  let reminder: Timer | undefined
  const remind = (wait: number, since = clock.now()): void => {
    reminder = clock.schedule(clock.now() + wait, () => {
      goesOn(clock.now() - since, ending.signal.reason)
      remind(Math.min(2 * wait, LONGEST_GRACE_MS), since)
    })
  }
  const tell = (outcome: JobOutcome, reason: unknown): void => {
    if (told) return
    told = outcome
    // Who closes the scheduler is told by that.
    if (outcome !== 'interrupted') remind(GRACE_MS)
    ending.abort(reason)
  }
  const lost = (): void => tell('lost', lease.signal.reason)
  const interrupted = (): void => tell('interrupted', stopped.reason)
  const deprived = (): void =>
    tell('lost', coordinationError('BANYAN_LEASE_LOST', `the key of the run of ${name} was taken away`))
  const until = clock.now() + timeout
  const late = (): void =>
    tell(
      'timeout',
      coordinationError(
        'BANYAN_JOB_STOPPED',
        `the run of ${name} took longer than ${formatDuration(timeout)}`,
      ),
    )
  const timer: Timer | undefined = timeout === Infinity ? undefined : clock.schedule(until, late)
  const check = (): void => {
    if (!lease.held) lost()
    else if (clock.now() >= until) late()
    if (ending.signal.aborted) throw ending.signal.reason
  }
  const forgets = [onAbort(stopped, interrupted), onAbort(lease.signal, lost), onAbort(taken, deprived)]
  let failure: unknown
  let hasFailed = false
  try {
    check()
    const context: JobContext = { name, scheduledFor, attempt, token, signal: ending.signal, check }
    await work(context)
  } catch (error) {
    hasFailed = true
    failure = error
  } finally {
    timer?.cancel()
    reminder?.cancel()
    for (const forget of forgets) forget()
  }
  // Whoever returns because the signal has aborted has not done what there was to do.
  if (told) return { outcome: told, error: describeError(ending.signal.reason) }
  return hasFailed ? { outcome: 'failed', error: describeError(failure) } : { outcome: 'succeeded' }
}

function describeError(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  // Half of a surrogate pair cannot be stored.
  return Buffer.from(text.slice(0, ERROR_LENGTH).replaceAll('\0', '\ufffd')).toString()
}
