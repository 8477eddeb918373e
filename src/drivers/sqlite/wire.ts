import type { EncodedCommit, EncodedEvent, EncodedStream, Outcome } from '../../events/driver.js'
import { formatPosition } from '../../events/position.js'
import type { Expected } from '../../events/log.js'

/**
 * A group of commits on its way to the writer's thread. Cloning the objects would cost more than writing them to the
 * disk; one text and one array of numbers are copied as they are.
 */
export interface PackedGroup {
  readonly commits: number
  /** Names and JSON, with NUL between them, which neither can hold. */
  readonly text: string
  /** How many texts there are: a NUL too many is found out. */
  readonly texts: number
  readonly numbers: Float64Array
  /** Data that is bytes. */
  readonly blobs: readonly Uint8Array[]
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

const DATA_NONE = 0
const DATA_TEXT = 1
const DATA_BYTES = 2

const EXPECTED: readonly Expected[] = ['any', 'none', 'exists']

export function packGroup(group: readonly EncodedCommit[]): PackedGroup {
  const texts: string[] = []
  const numbers: number[] = []
  const blobs: Uint8Array[] = []
  for (const { id, digest, recorded, events, bytes, streams, checks } of group) {
    texts.push(id)
    numbers.push(digest, recorded, events, bytes, streams.length, checks.length)
    for (const { stream, category, expected, events } of streams) {
      texts.push(stream, category)
      numbers.push(packExpected(expected), events.length)
      for (const event of events) {
        const { id, type, data, metadata, tags } = event
        texts.push(id ?? '', type, metadata)
        let kind = DATA_NONE
        if (typeof data === 'string') {
          texts.push(data)
          kind = DATA_TEXT
        } else if (data) {
          blobs.push(data)
          kind = DATA_BYTES
        }
        for (const tag of tags) texts.push(tag)
        numbers.push(kind, event.schemaVersion, event.time, event.checksum, tags.length)
      }
    }
    for (const { stream, expected } of checks) {
      texts.push(stream)
      numbers.push(packExpected(expected))
    }
  }
  return {
    commits: group.length,
    text: texts.join('\0'),
    texts: texts.length,
    numbers: Float64Array.from(numbers),
    blobs,
  }
}

export function unpackGroup({ commits, text, texts: count, numbers, blobs }: PackedGroup): EncodedCommit[] {
  const texts = text.split('\0')
  if (texts.length !== count) throw new Error('a text of the group holds NUL')
  let t = 0
  let n = 0
  let b = 0
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
        const metadata = texts[t++]!
        const kind = numbers[n++]!
        const data = kind === DATA_TEXT ? texts[t++]! : kind === DATA_BYTES ? blobs[b++]! : undefined
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
