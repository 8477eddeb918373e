import type { Position } from '../../events/log.js'
import { START } from '../../events/position.js'
import type { Attempt, AttemptedStream, SeenEvent } from './history.js'
import { describe, type LogIndex } from './log-index.js'
import type { Anomaly, Findings, Verdict } from './verdict.js'

/** All attempts of one commit. */
export interface Tried {
  readonly attempts: Attempt[]
  /** When the first of them began that can have appended it. */
  began: number
  /** When the first acknowledgement came. */
  acknowledged: number
  /** An attempt was acknowledged, or has no answer. */
  possible: boolean
}

/** Attempts by commit. */
export function triedCommits(attempts: readonly Attempt[]): Map<string, Tried> {
  const commits = new Map<string, Tried>()
  for (const attempt of attempts) {
    let tried = commits.get(attempt.commit)
    if (!tried) {
      tried = { attempts: [], began: Infinity, acknowledged: Infinity, possible: false }
      commits.set(attempt.commit, tried)
    }
    tried.attempts.push(attempt)
    if (attempt.outcome === 'conflict' || attempt.outcome === 'failed') continue
    tried.possible = true
    tried.began = Math.min(tried.began, attempt.began)
    if (attempt.outcome === 'ok') tried.acknowledged = Math.min(tried.acknowledged, attempt.ended ?? Infinity)
  }
  return commits
}

/** Whether the log holds what was attempted: all that was acknowledged, and nothing that was not. */
export function checkAttempts(
  commits: Map<string, Tried>,
  index: LogIndex,
  truncated: Position,
  findings: Findings,
): Verdict['commits'] {
  const figures = {
    attempted: commits.size,
    acknowledged: 0,
    refused: 0,
    unknownAppended: 0,
    unknownAbsent: 0,
  }
  for (const [commit, tried] of commits) {
    const acknowledged = tried.attempts.find(({ outcome }) => outcome === 'ok')
    const isThere = index.commits.has(commit)
    if (acknowledged) figures.acknowledged++
    else if (!tried.possible) figures.refused++
    else if (isThere) figures.unknownAppended++
    else figures.unknownAbsent++
    if (!acknowledged || isThere || acknowledged.streams.length === 0) continue
    if (truncated !== START && (acknowledged.position ?? START) <= truncated) continue
    findings.add('lost', `${answered(acknowledged)}, and is not in the log`, { commit })
  }
  for (const [commit, places] of index.commits) {
    const events = places.map((place) => index.events[place]!)
    const anomalies = checkCommit(commit, commits.get(commit), events, {
      // What was truncated is of the oldest events that are there, or of older ones.
      mayBeTruncated: truncated !== START && places[0]! <= index.behind(truncated),
    })
    for (const { kind, message } of anomalies)
      findings.add(kind, message, { commit, position: events[0]!.position })
  }
  return figures
}

function checkCommit(
  commit: string,
  tried: Tried | undefined,
  events: readonly SeenEvent[],
  options: { mayBeTruncated: boolean },
): readonly Anomaly[] {
  const first = events[0]!
  if (!tried) return [{ kind: 'invented', message: `${describe(first)} was never attempted` }]
  if (!tried.possible) {
    const why = tried.attempts.map(answered).join('; ')
    return [{ kind: 'invented', message: `${describe(first)} was refused: ${why}` }]
  }
  // Of several attempts with one id, at most one is in the log; which one is not known.
  const possible = tried.attempts.filter(({ outcome }) => outcome === 'ok' || outcome === 'unknown')
  let least: readonly Anomaly[] | undefined
  for (const attempt of possible) {
    const anomalies = compare(attempt, events, options)
    if (anomalies.length === 0) return possible.flatMap((each) => compareAnswer(each, events, options))
    if (!least || attempt.outcome === 'ok') least = anomalies
  }
  return least ?? []
}

/** What is not as it was attempted. */
function compare(
  attempt: Attempt,
  events: readonly SeenEvent[],
  { mayBeTruncated }: { mayBeTruncated: boolean },
): Anomaly[] {
  if (isExactly(attempt, events)) return []
  const found: Anomaly[] = []
  const { commit, streams } = attempt
  const add = (kind: Anomaly['kind'], message: string): unknown => found.push({ kind, message })
  const byStream = groupByStream(events)
  let matched = 0
  for (const append of streams) {
    const written = byStream.get(append.stream) ?? []
    matched += compareStream(append, written, add)
    const first = written[0]
    if (!first || mayBeTruncated) continue
    if (!follows(append.expected, first.revision))
      add('reordered', `${describe(first)} was appended expecting ${append.expected}`)
  }
  const wanted = streams.reduce((sum, each) => sum + each.events.length, 0)
  const ids = new Set(events.map(({ id }) => id))
  if (matched < wanted && !mayBeTruncated)
    add(
      'torn',
      `commit ${commit} has ${matched} of its ${wanted} events in the log; ${describe(events[0]!)} is there`,
    )
  if (ids.size > matched) {
    const known = new Set(streams.flatMap((append) => append.events.map(({ id }) => id)))
    for (const event of events)
      if (!known.has(event.id))
        add('invented', `${describe(event)} was not among the ${wanted} events of its commit`)
      else if (!streams.some(({ stream }) => stream === event.stream))
        add('invented', `${describe(event)} was not appended to this stream`)
  }
  return found
}

/** Nearly always it is all there, as it was attempted; that is found out without making anything. */
function isExactly({ streams }: Attempt, events: readonly SeenEvent[]): boolean {
  let place = 0
  for (const { stream, expected, events: appended } of streams) {
    const first = events[place]
    if (!first || !follows(expected, first.revision)) return false
    for (const { id, digest } of appended) {
      const event = events[place++]
      if (event?.id !== id || event.digest !== digest || event.stream !== stream) return false
    }
  }
  return place === events.length
}

/** Whether an acknowledgement said where it is: the first one and those of repetitions say the same. */
function compareAnswer(
  { streams, position, revisions }: Attempt,
  events: readonly SeenEvent[],
  { mayBeTruncated }: { mayBeTruncated: boolean },
): Anomaly[] {
  const last = events.at(-1)!
  if (mayBeTruncated) return []
  if (position !== undefined && last.position !== position)
    return [{ kind: 'reordered', message: `${describe(last)} was acknowledged at ${position}` }]
  const byStream = revisions ? groupByStream(events) : undefined
  for (const [index, told] of revisions?.entries() ?? []) {
    const event = byStream?.get(streams[index]?.stream ?? '')?.at(-1)
    if (event && event.revision !== told)
      return [{ kind: 'reordered', message: `${describe(event)} was acknowledged as revision ${told}` }]
  }
  return []
}

function groupByStream(events: readonly SeenEvent[]): Map<string, SeenEvent[]> {
  const groups = new Map<string, SeenEvent[]>()
  for (const event of events) {
    const group = groups.get(event.stream)
    if (group) group.push(event)
    else groups.set(event.stream, [event])
  }
  return groups
}

/** How many of the events are there; says what is wrong with them. */
function compareStream(
  append: AttemptedStream,
  written: readonly SeenEvent[],
  add: (kind: Anomaly['kind'], message: string) => unknown,
): number {
  const { events } = append
  const ordinals = new Map(events.map(({ id }, ordinal) => [id, ordinal]))
  const seen = new Set<number>()
  let before = -1
  for (const event of written) {
    const ordinal = ordinals.get(event.id)
    if (ordinal === undefined || seen.has(ordinal)) continue
    seen.add(ordinal)
    if (ordinal < before) add('reordered', `${describe(event)} comes before what it was appended behind`)
    before = ordinal
    if (events[ordinal]!.digest !== event.digest)
      add('invented', `${describe(event)} is not what was appended: its type, data, metadata or tags differ`)
  }
  return seen.size
}

function follows(expected: AttemptedStream['expected'], revision: number): boolean {
  switch (expected) {
    case 'any':
      return true
    case 'none':
      return revision === 0
    case 'exists':
      return revision > 0
    default:
      return revision === expected + 1
  }
}

/**
 * Two appends of which one began after the other was acknowledged are in that order in the log (of a stream, if the
 * driver promises no more). One pass from the end: the earliest acknowledgement of all that is behind decides.
 */
export function checkRealTime(
  commits: Map<string, Tried>,
  index: LogIndex,
  order: 'log' | 'stream',
  findings: Findings,
): void {
  const earliest = new Map<string, { at: number; event: SeenEvent }>()
  const reported = new Set<string>()
  for (let place = index.events.length - 1; place >= 0; place--) {
    const event = index.events[place]!
    const tried = commits.get(event.commit)
    if (!tried?.possible) continue
    const scope = order === 'log' ? '' : event.stream
    const behind = earliest.get(scope)
    if (behind && behind.at < tried.began && reported.size < reported.add(event.commit).size)
      findings.add(
        'reordered',
        `${describe(event)} was begun at ${ms(tried.began)}, after ${describe(behind.event)} had been acknowledged at ${ms(behind.at)}, and is before it in the log`,
        { commit: event.commit, position: event.position },
      )
    if (tried.acknowledged < (behind?.at ?? Infinity)) earliest.set(scope, { at: tried.acknowledged, event })
  }
}

function answered({ commit, writer, outcome, began, ended, position }: Attempt): string {
  const at = position === undefined ? '' : ` at position ${position}`
  const when = ended === undefined ? `begun at ${ms(began)}` : `at ${ms(ended)}`
  const what = { ok: 'acknowledged', conflict: 'a conflict', failed: 'refused', unknown: 'without an answer' }
  return `commit ${commit} of ${writer} was ${what[outcome]}${at} (${when})`
}

function ms(time: number): string {
  return `${Math.round(time * 1000) / 1000} ms`
}
