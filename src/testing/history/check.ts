import { START } from '../../events/position.js'
import { checkAttempts, checkRealTime, triedCommits } from './check-attempts.js'
import { checkFollows } from './check-follows.js'
import { checkLog } from './check-log.js'
import type { History } from './history.js'
import { LogIndex } from './log-index.js'
import { Findings, verdictOf, type Verdict } from './verdict.js'

/** Options of {@link checkHistory}. */
export interface CheckOptions {
  /** The scope in which the driver promises one order (`capabilities.order`); default `'log'`. */
  order?: 'log' | 'stream'
  /** Whether all times of the history come from one clock, so that they can be compared; default true. */
  realTime?: boolean
  /** Whether the followers were given the time to reach the end of the log; default false. */
  caughtUp?: boolean
}

/**
 * Says whether the laws of an event log were kept, as far as anybody could see. It takes time in proportion to the
 * history: a million events are a few seconds.
 *
 * An attempt without an answer may be in the log, wholly, or not. Everything else is compared strictly: the log with the
 * attempts and with itself, and each run of a follower with the log.
 */
export function checkHistory(history: History, options: CheckOptions = {}): Verdict {
  const { order = 'log', realTime = true, caughtUp = false } = options
  const { attempts, follows, log, truncated = START, unreadable = 0 } = history
  const findings = new Findings()
  const index = new LogIndex(log)
  const commits = triedCommits(attempts)
  checkLog(log, truncated, findings)
  const figures = checkAttempts(commits, index, truncated, findings)
  if (realTime) checkRealTime(commits, index, order, findings)
  const followed = checkFollows(follows, { index, commits, truncated, findings }, { caughtUp })
  return verdictOf(findings, { commits: figures, events: log.length, followed }, unreadable)
}
