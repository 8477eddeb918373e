import type { Coordinator, Session } from '../coordinator.js'
import type { EndedJobRun, JobRun } from './record.js'

/** What the jobs of a scheduler share. */
export interface Surroundings {
  readonly coordinator: Coordinator
  readonly session: Session
  readonly holder: string
  /** No run is started any more. */
  readonly closing: AbortSignal
  /** Runs are told to end. */
  readonly stopped: AbortSignal
  /** Nobody waits for anything any more. */
  readonly ended: AbortSignal
  /** The runs of this process, of all jobs. */
  readonly places: Places
  started(name: string, run: JobRun): void
  finished(name: string, run: EndedJobRun): void
}

/** How many runs may be under way. */
export interface Places {
  readonly taken: number
  readonly isFull: boolean
  take(): void
  give(): void
}
