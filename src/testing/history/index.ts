/**
 * The history checker. Processes use a log through a `historyRecorder`, which writes down what they tried, what they
 * were told and what they were given; at the end `readHistory` puts that together, `loggedEvents` reads what is in the
 * log, and `checkHistory` says whether anything was lost, duplicated, reordered, invented or torn.
 */
export { checkHistory, type CheckOptions } from './check.js'
export {
  digestOfEvent,
  historyRecorder,
  loggedEvents,
  seenEvent,
  type HistoryRecorder,
  type RecorderOptions,
} from './recorder.js'
export { historyOf, readHistory, type RecordedHistory } from './read.js'
export type {
  Attempt,
  AttemptedStream,
  AttemptOutcome,
  FollowerRun,
  History,
  HistoryEntry,
  SeenBatch,
  SeenEvent,
} from './history.js'
export type { Anomaly, AnomalyKind, Verdict } from './verdict.js'
