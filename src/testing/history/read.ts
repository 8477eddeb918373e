import type { Attempt, FollowerRun, History, HistoryEntry, SeenBatch } from './history.js'

/** What was recorded; the log at the end is still to be added. */
export type RecordedHistory = Omit<History, 'log'>

/**
 * Reads what processes recorded, from the lines of all of their files, in any order of files. An unfinished line, as
 * `kill -9` leaves one, is counted and passed over: what it would have said is unknown.
 */
export async function readHistory(lines: Iterable<string> | AsyncIterable<string>): Promise<RecordedHistory> {
  const entries: HistoryEntry[] = []
  let unreadable = 0
  for await (const line of lines) {
    if (line.trim() === '') continue
    const entry = parse(line)
    if (entry) entries.push(entry)
    // A process that is started again may write on behind the unfinished line.
    const rest = entry ? -1 : line.lastIndexOf('{"is":')
    const last = rest > 0 ? parse(line.slice(rest)) : undefined
    if (last) entries.push(last)
    if (!entry) unreadable++
  }
  return { ...historyOf(entries), ...(unreadable > 0 && { unreadable }) }
}

/** Puts the entries of a history together. */
export function historyOf(entries: Iterable<HistoryEntry>): RecordedHistory {
  const attempts = new Map<string, Attempt>()
  const follows = new Map<string, FollowerRun & { batches: SeenBatch[] }>()
  // Files may come in any order: an outcome before its attempt, a batch before its run.
  const later: HistoryEntry[] = []
  for (const entry of entries) {
    if (entry.is === 'attempt') {
      const { attempt, at, writer, commit, streams } = entry
      attempts.set(attempt, { writer, commit, streams, began: at, outcome: 'unknown' })
    } else if (entry.is === 'follow') {
      const { run, follower, selector, from } = entry
      follows.set(run, { follower, selector, from, batches: [] })
    } else later.push(entry)
  }
  for (const entry of later) {
    if (entry.is === 'outcome') {
      const attempt = attempts.get(entry.attempt)
      const { at, outcome, position, revisions } = entry
      if (attempt)
        attempts.set(entry.attempt, {
          ...attempt,
          outcome,
          ended: at,
          ...(position !== undefined && { position }),
          ...(revisions && { revisions }),
        })
    } else if (entry.is === 'batch') {
      const { run, events, position, caughtUp, truncated } = entry
      follows.get(run)?.batches.push({ events, position, caughtUp, truncated })
    }
  }
  return { attempts: [...attempts.values()], follows: [...follows.values()] }
}

function parse(line: string): HistoryEntry | undefined {
  try {
    const entry = JSON.parse(line) as HistoryEntry
    return typeof entry === 'object' && 'is' in entry ? entry : undefined
  } catch {
    return undefined
  }
}
