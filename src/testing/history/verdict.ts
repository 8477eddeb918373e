import type { Position } from '../../events/log.js'

/**
 * What can be wrong with a history, in the words of Jepsen's checkers.
 *
 * | kind | meaning |
 * |---|---|
 * | `lost` | acknowledged or seen, but not in the log; or in the log, but passed over by a follower |
 * | `duplicated` | in the log twice, or given twice to one run of a follower |
 * | `reordered` | not in the order of its stream, of positions, or of appends that followed each other in time |
 * | `invented` | never attempted, or refused, or not what was appended |
 * | `torn` | a part of a commit without the rest |
 */
export type AnomalyKind = 'lost' | 'duplicated' | 'reordered' | 'invented' | 'torn'

/** Something that must not have happened. */
export interface Anomaly {
  readonly kind: AnomalyKind
  /** What and where, with the evidence, in one line. */
  readonly message: string
  readonly commit?: string
  readonly position?: Position
  readonly follower?: string
}

/** What {@link checkHistory} found. */
export interface Verdict {
  readonly ok: boolean
  /** The first of each kind, at most 100. */
  readonly anomalies: readonly Anomaly[]
  /** How many there are of each kind. */
  readonly counts: Readonly<Record<AnomalyKind, number>>
  /** How many commits were attempted, and what became of them. */
  readonly commits: {
    readonly attempted: number
    readonly acknowledged: number
    readonly refused: number
    /** Without an answer to any attempt, and found in the log. */
    readonly unknownAppended: number
    /** Without an answer to any attempt, and not in the log. */
    readonly unknownAbsent: number
  }
  /** Events in the log. */
  readonly events: number
  /** Events that followers were given. */
  readonly followed: number
  /** The verdict for people: figures, then one line for each anomaly. */
  readonly summary: string
}

const KEPT = 100

/** Collects what is wrong. */
export class Findings {
  readonly counts: Record<AnomalyKind, number> = {
    lost: 0,
    duplicated: 0,
    reordered: 0,
    invented: 0,
    torn: 0,
  }
  readonly anomalies: Anomaly[] = []

  add(kind: AnomalyKind, message: string, about: Omit<Anomaly, 'kind' | 'message'> = {}): void {
    if (++this.counts[kind] <= KEPT) this.anomalies.push({ kind, message, ...about })
  }
}

/** Words for what was found. */
export function verdictOf(
  { anomalies, counts }: Findings,
  figures: Pick<Verdict, 'commits' | 'events' | 'followed'>,
  unreadable: number,
): Verdict {
  const { commits, events, followed } = figures
  const ok = anomalies.length === 0
  const found = Object.entries(counts)
    .filter(([, count]) => count > 0)
    .map(([kind, count]) => `${count} ${kind}`)
  const lines = [
    ok ? 'nothing lost, duplicated, reordered, invented or torn' : found.join(', '),
    `${commits.attempted} commits: ${commits.acknowledged} acknowledged, ${commits.refused} refused, ` +
      `${commits.unknownAppended} without an answer and appended, ${commits.unknownAbsent} without an answer and not appended`,
    `${events} events in the log, ${followed} given to followers`,
    ...(unreadable > 0 ? [`${unreadable} unfinished lines in the history`] : []),
    ...anomalies.map(({ kind, message }) => `${kind}: ${message}`),
  ]
  return { ok, anomalies, counts, commits, events, followed, summary: lines.join('\n') }
}
