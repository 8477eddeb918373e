import { digestOf } from '../checksum.js'
import type { StoredEvent } from '../driver.js'
import { eventError } from '../errors.js'
import { parsePosition } from '../position.js'
import type { Position } from '../log.js'
import type { KnownOutcome, ReplicatedDriver, ShippedCommit, StreamTruncation } from '../replica.js'

/** Streams whose truncation is told at once, at most. */
const TRUNCATIONS = 1000

/** What goes to a follower in one answer. */
export interface Load {
  readonly upTo: Position
  readonly commits: readonly ShippedCommit[]
  readonly truncations: readonly StreamTruncation[]
  /** There was nothing more. */
  readonly end: boolean
}

/**
 * Reads what a follower does not have yet: whole commits, as long as all of their events are there.
 *
 * @param truncation - number of the last truncation that it knows
 * @param limit - events, about
 * @throws `BANYAN_FOLLOWER_GAP` if events that it does not have were truncated
 */
export async function load(
  driver: ReplicatedDriver,
  after: Position,
  truncation: number,
  limit: number,
): Promise<Load> {
  const events: StoredEvent[] = []
  let upTo = after
  let end = false
  while (!end && events[0]?.commit === events.at(-1)?.commit) {
    const page = await driver.read({ after: upTo, limit, backwards: false })
    if (page.truncated) throw gap(after)
    events.push(...page.events)
    upTo = page.position
    end = page.end
  }
  const isFull = events.length === parsePosition(upTo) - parsePosition(after)
  if (!end) {
    // More of the last commit may be on the next page.
    const last = events.at(-1)!.commit
    while (events.at(-1)!.commit === last) events.pop()
    upTo = events.at(-1)!.position
  }
  const commits = commitsOf(events)
  const outcomes = isFull ? [] : await driver.replica.outcomes(commits.map(({ id }) => id))
  // After the events: what was removed since they were read is removed by the follower, too.
  const truncations = await driver.replica.truncations(truncation, TRUNCATIONS)
  return {
    upTo,
    commits: withOutcomes(commits, outcomes),
    truncations,
    end: end && truncations.length < TRUNCATIONS,
  }
}

function commitsOf(events: readonly StoredEvent[]): ShippedCommit[] {
  const commits: ShippedCommit[] = []
  for (let first = 0, next = 0; first < events.length; first = next) {
    const id = events[first]!.commit
    while (events[next]?.commit === id) next++
    const group = events.slice(first, next)
    commits.push({ id, digest: digestOfEvents(id, group), events: group })
  }
  return commits
}

/** With what was answered to those of which events were removed: it cannot be told from the others. */
function withOutcomes(
  commits: readonly ShippedCommit[],
  known: readonly KnownOutcome[],
): readonly ShippedCommit[] {
  if (known.length === 0) return commits
  const outcomes = new Map(known.map((each) => [each.id, each]))
  return commits
    .map((commit) => {
      const outcome = outcomes.get(commit.id)
      return outcome ? { ...commit, digest: outcome.digest, outcome } : commit
    })
    .filter(({ outcome, events }) => outcome !== undefined || events[0]!.ordinal === 0)
}

function digestOfEvents(id: string, events: readonly StoredEvent[]): number {
  const streams = new Map<string, StoredEvent[]>()
  for (const event of events) {
    const found = streams.get(event.stream)
    if (found) found.push(event)
    else streams.set(event.stream, [event])
  }
  const encoded = Array.from(streams, ([stream, each]) => ({
    stream,
    category: '',
    expected: 'any' as const,
    events: each,
  }))
  return digestOf(id, encoded)
}

function gap(after: Position): Error {
  return eventError(
    'BANYAN_FOLLOWER_GAP',
    `events behind position ${after}, up to which the follower has them, were truncated. Start it anew, from a backup of the leader (fromBackup)`,
  )
}
