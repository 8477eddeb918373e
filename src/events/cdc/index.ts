/**
 * RowChange data capture: what is done to the tables of a database becomes events of the log. A source (`source.ts`) brings a
 * snapshot and the changes since; `snapshotting.ts` and `streaming.ts` bring them to the `intake.ts`, which maps rows to events
 * (`mapping.ts`), sets aside what cannot become one (`parking.ts`) and appends them together with how far the capture is
 * (`state.ts`). `session.ts` is one connection, `capture.ts` what users hold.
 */
export {
  changeOf,
  foldChange,
  type CapturedEvent,
  type RowChange,
  type ChangeMetadata,
  type Operation,
} from './change.js'
export { RunningCapture } from './capture.js'
export type { ChangeCapture } from './change-capture.js'
export { captureSettings, type CaptureOptions, type ResnapshotReason, type TableCapture } from './options.js'
export type { ParkedChange, ParkedSelection } from './parking.js'
export type {
  ChangeSource,
  ChangeStream,
  ConnectRequest,
  Row,
  RowMessage,
  SlotState,
  SnapshotRows,
  SourceIdentity,
  SourceMessage,
  SourceSession,
  SourceSnapshot,
  TableShape,
  WantedTable,
} from './source.js'
export type { CaptureStateName, CaptureStatus, Discarded, Retried } from './status.js'
