import { lsnText, parseLsn, type SourceMessage } from './source.js'
import type { CaptureState } from './state.js'

/** A transaction that is coming in. */
export class Incoming {
  readonly lsn: bigint
  readonly committed: number
  readonly xid: number
  /** Changes of it that have come. */
  changes = 0
  /** Changes of it that are in the log. */
  readonly #done: number

  /** @param state - what is in the log: the server tells again what it does not know to be there */
  constructor({ lsn, committed, xid }: Extract<SourceMessage, { kind: 'begin' }>, state: CaptureState) {
    this.lsn = lsn
    this.committed = committed
    this.xid = xid
    const isDone = lsn < parseLsn(state.lsn)
    const { within } = state
    this.#done = isDone ? Infinity : within?.lsn === lsnText(lsn) ? within.changes : 0
  }

  /** Whether all of it is in the log. */
  get isDone(): boolean {
    return this.#done === Infinity
  }

  /** Counts a change that has come. @returns whether it is new */
  count(): boolean {
    this.changes++
    return this.changes > this.#done
  }

  /** Where the log is, if it has so many changes of it. */
  within(changes: number): NonNullable<CaptureState['within']> {
    return { lsn: lsnText(this.lsn), changes }
  }
}
