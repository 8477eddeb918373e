import type { CaptureStatus, Discarded, ParkedChange, ParkedSelection, Retried } from '../../events/index.js'

/** What is told of a capture: what it does, or why it could not be started. */
export type HostedCaptureState = CaptureStatus

/** Captures as operators see and move them, in one process or in several. */
export interface CaptureControl {
  list(): Promise<HostedCaptureState[]>
  /**
   * Lets a new snapshot begin; does not wait for it.
   *
   * @throws `BANYAN_CAPTURE_UNKNOWN`; `BANYAN_CAPTURE_CLOSED` if another node captures
   */
  resnapshot(name: string): Promise<void>
  /** Tries parked rows again; throws the same. */
  retry(name: string): Promise<Retried>
  /** Throws parked rows away for good, and tries what has waited behind them; throws the same. */
  discard(name: string, which: ParkedSelection): Promise<Discarded>
  /**
   * Rows that are parked, in order.
   *
   * @param after - a position
   */
  parked(name: string, after: string | undefined, limit: number): Promise<ParkedChange[]>
}
