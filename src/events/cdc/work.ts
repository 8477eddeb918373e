import { createHash } from 'node:crypto'
import type { RowChange } from './change.js'
import type { CaptureInstruments } from './instruments.js'
import type { Intake } from './intake.js'
import { keyOf, type Binding } from './mapping.js'
import type { CaptureSettings } from './options.js'
import type { Parking } from './parking.js'
import type { Row, SourceSession, TableShape } from './source.js'
import type { CaptureState, StateStream } from './state.js'

/** What one session of a capture works with: from the connection until that breaks. */
export interface Work {
  readonly settings: CaptureSettings
  readonly session: SourceSession
  readonly state: StateStream
  readonly parking: Parking
  readonly intake: Intake
  readonly bindings: readonly Binding[]
  readonly instruments: CaptureInstruments
  readonly signal: AbortSignal
  /** Looks now and then how far the source is; throws if it is not there any more. */
  readonly measure: () => Promise<void>
}

/** A key that cannot be told, and why. */
export interface KeyOrProblem {
  readonly key: Row
  readonly problem?: string
}

export function keyOrProblem(binding: Binding, shape: TableShape, row: Row): KeyOrProblem {
  try {
    return { key: keyOf(binding, shape, row) }
  } catch (error) {
    return { key: {}, problem: (error as Error).message }
  }
}

/** What a table looks like, shortly: another one is another text. */
export function digestOf({ name, columns }: TableShape): string {
  return createHash('sha256')
    .update(JSON.stringify([name, columns]))
    .digest('base64url')
    .slice(0, 12)
}

/** The tables of a state, as they are now. */
export function tablesOf(bindings: readonly Binding[]): CaptureState['tables'] {
  return Object.fromEntries(
    bindings.map(({ name, shape }) => [name, { id: shape.id, shape: digestOf(shape) }]),
  )
}

/** A row that is gone, as of a place. */
export function deletionOf(
  last: RowChange | ChangeOfLog,
  at: Pick<RowChange, 'lsn' | 'xid' | 'committed' | 'generation' | 'table'>,
): RowChange {
  return { ...at, operation: 'delete', key: last.key ?? {}, row: last.key ?? {}, unchanged: [] }
}

/** What the log knows of a change. */
export interface ChangeOfLog {
  readonly operation: string
  readonly key?: Row
  readonly generation: number
}
