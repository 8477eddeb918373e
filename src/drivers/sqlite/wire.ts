import type { EncodedCommit, EncodedEvent, EncodedStream, Outcome } from '../../events/driver.js'
import { formatPosition } from '../../events/position.js'
import type { Expected } from '../../events/log.js'

/**
 * A group of commits on its way to the writer's thread. Cloning the objects would cost more than writing them to the
 * disk; one text and one array of numbers are copied as they are.
 */
export interface PackedGroup {
  readonly commits: number
  /** With NUL between them, which they cannot hold. Whoever keeps one of them keeps them all in memory. */
  readonly names: string
  /** How many names there are: a NUL too many is found out. */
  readonly count: number
  readonly numbers: Float64Array
  /** Data, and metadata if there is any. */
  readonly contents: readonly (string | Uint8Array)[]
}

/** What came of a group. */
export interface PackedOutcomes {
  /** For each commit: what came of it, its position, and for each of its streams the revision. */
  readonly numbers: Float64Array
  /** Outcomes that say more than numbers can, in their order. */
  readonly others: readonly Outcome[]
}

/** First number of an outcome. */
export const APPENDED = 0
export const DUPLICATE = 1
export const OTHER = 2

/** What an event has. */
const HAS_DATA = 1
const HAS_METADATA = 2

const EXPECTED: readonly Expected[] = ['any', 'none', 'exists']

export function packGroup(group: readonly EncodedCommit[]): PackedGroup {
  const names: string[] = []
  const numbers: number[] = []
  const contents: (string | Uint8Array)[] = []
  for (const { id, digest, recorded, events, bytes, streams, checks } of group) {
    names.push(id)
    numbers.push(digest, recorded, events, bytes, streams.length, checks.length)
    for (const { stream, category, expected, events } of streams) {
      names.push(stream, category)
      numbers.push(packExpected(expected), events.length)
      for (const { id, type, data, metadata, tags, schemaVersion, time, checksum } of events) {
        names.push(id ?? '', type)
        for (const tag of tags) names.push(tag)
        let has = 0
        if (data !== undefined) {
          contents.push(data)
          has = HAS_DATA
        }
        if (metadata !== '') {
          contents.push(metadata)
          has |= HAS_METADATA
        }
        numbers.push(has, schemaVersion, time, checksum, tags.length)
      }
    }
    for (const { stream, expected } of checks) {
      names.push(stream)
      numbers.push(packExpected(expected))
    }
  }
  return {
    commits: group.length,
    names: names.join('\0'),
    count: names.length,
    numbers: Float64Array.from(numbers),
    contents,
  }
}

export function unpackGroup({ commits, names, count, numbers, contents }: PackedGroup): EncodedCommit[] {
  const texts = names.split('\0')
  if (texts.length !== count) throw new Error('a name of the group holds NUL')
  let t = 0
  let n = 0
  let c = 0
  const group: EncodedCommit[] = []
  while (group.length < commits) {
    const id = texts[t++]!
    const digest = numbers[n++]!
    const recorded = numbers[n++]!
    const events = numbers[n++]!
    const bytes = numbers[n++]!
    let streamsLeft = numbers[n++]!
    let checksLeft = numbers[n++]!
    let ordinal = 0
    const streams: EncodedStream[] = []
    for (; streamsLeft > 0; streamsLeft--) {
      const stream = texts[t++]!
      const category = texts[t++]!
      const expected = unpackExpected(numbers[n++]!)
      const encoded: EncodedEvent[] = []
      for (let eventsLeft = numbers[n++]!; eventsLeft > 0; eventsLeft--) {
        const eventId = texts[t++]!
        const type = texts[t++]!
        const has = numbers[n++]!
        const data = has & HAS_DATA ? contents[c++] : undefined
        const metadata = has & HAS_METADATA ? (contents[c++] as string) : ''
        const schemaVersion = numbers[n++]!
        const time = numbers[n++]!
        const checksum = numbers[n++]!
        const tagCount = numbers[n++]!
        const tags = tagCount === 0 ? NO_TAGS : texts.slice(t, t + tagCount)
        t += tagCount
        encoded.push({
          id: eventId === '' ? undefined : eventId,
          ordinal: ordinal++,
          type,
          data,
          metadata,
          tags,
          schemaVersion,
          time,
          checksum,
        })
      }
      streams.push({ stream, category, expected, events: encoded })
    }
    const checks: { stream: string; expected: Expected }[] = []
    for (; checksLeft > 0; checksLeft--)
      checks.push({ stream: texts[t++]!, expected: unpackExpected(numbers[n++]!) })
    group.push({ id, digest, streams, checks, recorded, events, bytes })
  }
  return group
}

const NO_TAGS: readonly string[] = []

export function packOutcomes(outcomes: readonly WriterOutcome[]): PackedOutcomes {
  const numbers: number[] = []
  const others: Outcome[] = []
  for (const outcome of outcomes) {
    if (outcome.kind === 'appended') {
      numbers.push(outcome.duplicate ? DUPLICATE : APPENDED, outcome.position, ...outcome.revisions)
    } else {
      others.push(outcome)
      numbers.push(OTHER)
    }
  }
  return { numbers: Float64Array.from(numbers), others }
}

/** {@link Outcome} with the number of a position. */
export type WriterOutcome =
  | {
      readonly kind: 'appended'
      readonly position: number
      readonly revisions: readonly number[]
      readonly duplicate: boolean
    }
  | Exclude<Outcome, { kind: 'appended' }>

/** @param group - what was sent; says how many streams each commit has */
export function unpackOutcomes(
  { numbers, others }: PackedOutcomes,
  group: readonly EncodedCommit[],
): Outcome[] {
  const outcomes: Outcome[] = []
  let n = 0
  let other = 0
  for (const { streams } of group) {
    const kind = numbers[n++]!
    if (kind === OTHER) {
      outcomes.push(others[other++]!)
      continue
    }
    const position = formatPosition(numbers[n++]!)
    const revisions: number[] = []
    for (let left = streams.length; left > 0; left--) revisions.push(numbers[n++]!)
    outcomes.push({ kind: 'appended', position, revisions, duplicate: kind === DUPLICATE })
  }
  return outcomes
}

/** `any`, `none` and `exists` are negative numbers on the way. */
function packExpected(expected: Expected): number {
  return typeof expected === 'number' ? expected : -1 - EXPECTED.indexOf(expected)
}

function unpackExpected(number: number): Expected {
  return number >= 0 ? number : EXPECTED[-1 - number]!
}
