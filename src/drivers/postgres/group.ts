import type { EncodedCommit, EncodedEvent, Outcome } from '../../events/driver.js'
import { formatPosition } from '../../events/position.js'
import type { Expected } from '../../events/log.js'
import { bytesArray, int4Array, int8Array, jsonArray, textArray, uuidArray } from './arrays.js'

/** What came of a commit; `locked` if a transaction holds one of its streams, or it comes after one that waits for that. */
export type Sent = Outcome | 'locked'

/** How the expected revision of a stream is written. */
export function expectedCode(expected: Expected): number {
  if (typeof expected === 'number') return expected
  return { none: -1, exists: -2, any: -3 }[expected]
}

/** Bytes of data and metadata of an event. */
export function sizeOf({ data, metadata }: EncodedEvent): number {
  const size = typeof data === 'string' ? Buffer.byteLength(data) : (data?.byteLength ?? 0)
  return size + Buffer.byteLength(metadata)
}

/** The parameters of `append`, but for how it is tried. */
export function parametersOf(group: readonly EncodedCommit[]): (Buffer | null)[] {
  // Those that are written stand before those that are only checked.
  const numbers = new Map<string, number>()
  for (const { streams } of group)
    for (const { stream } of streams) if (!numbers.has(stream)) numbers.set(stream, numbers.size + 1)
  const written = numbers.size
  for (const { checks } of group)
    for (const { stream } of checks) if (!numbers.has(stream)) numbers.set(stream, numbers.size + 1)

  const conditionStream: number[] = []
  const conditionExpected: number[] = []
  const conditionEvents: number[] = []
  const events: EncodedEvent[] = []
  const eventCondition: number[] = []
  const eventOffset: number[] = []
  const eventCommit: number[] = []
  let number = 0
  for (const commit of group) {
    number++
    for (const { stream, expected, events: appended } of commit.streams) {
      conditionStream.push(numbers.get(stream)!)
      conditionExpected.push(expectedCode(expected))
      conditionEvents.push(appended.length)
      for (let index = 0; index < appended.length; index++) {
        events.push(appended[index]!)
        eventCondition.push(conditionStream.length)
        eventOffset.push(index)
        eventCommit.push(number)
      }
    }
    for (const { stream, expected } of commit.checks) {
      conditionStream.push(numbers.get(stream)!)
      conditionExpected.push(expectedCode(expected))
      conditionEvents.push(0)
    }
  }
  return [
    textArray([...numbers.keys()]),
    int4(written),
    textArray(group.map(({ id }) => id)),
    int8Array(group.map(({ digest }) => digest)),
    int8Array(group.map(({ recorded }) => recorded)),
    int4Array(group.map(({ streams }) => streams.length)),
    int4Array(group.map(({ streams, checks }) => streams.length + checks.length)),
    int4Array(conditionStream),
    int8Array(conditionExpected),
    int4Array(conditionEvents),
    int4Array(eventCommit),
    int4Array(eventCondition),
    int4Array(eventOffset),
    int4Array(events.map(({ ordinal }) => ordinal)),
    some(
      textArray,
      events.map(({ id }) => id),
    ),
    textArray(events.map(({ type }) => type)),
    some(
      jsonArray,
      events.map(({ data }) => (typeof data === 'string' ? data : undefined)),
    ),
    some(
      bytesArray,
      events.map(({ data }) => (typeof data === 'string' ? undefined : data)),
    ),
    some(
      jsonArray,
      events.map(({ metadata }) => (metadata === '' ? undefined : metadata)),
    ),
    some(
      textArray,
      events.map(({ tags }) => (tags.length === 0 ? undefined : arrayLiteral(tags))),
    ),
    int4Array(events.map(({ schemaVersion }) => schemaVersion)),
    int8Array(events.map(({ time }) => time)),
    int4Array(events.map(sizeOf)),
    int8Array(events.map(({ checksum }) => checksum)),
  ]
}

/** How many parameters {@link attemptOf} and {@link parametersOf} make. */
export const PARAMETERS = 27

/**
 * The parameters that say how it is tried.
 *
 * @param lost - attempts for the same commits whose outcome is not known, and that must not happen any more
 * @param patience - how long to wait for streams that are locked, in ms; default not at all
 */
export function attemptOf(attempt: string, lost: readonly string[], patience: number | undefined): unknown[] {
  return [attempt, uuidArray(lost), patience === undefined ? null : int4(patience)]
}

/** What `append` has answered. */
export function outcomesOf(answer: string, group: readonly EncodedCommit[]): Sent[] {
  const [kinds, positions, results, overlaps] = JSON.parse(answer) as [number[], number[], number[], string[]]
  let condition = 0
  return group.map((commit, index): Sent => {
    const { streams, checks } = commit
    const found = results.slice(condition, (condition += streams.length + checks.length))
    const kind = kinds[index]
    switch (kind) {
      case 0:
      case 1:
        return {
          kind: 'appended',
          position: formatPosition(positions[index]!),
          revisions: found.slice(0, streams.length),
          duplicate: kind === 1,
        }
      case 2:
        return { kind: 'conflict', conflicts: conflictsOf(commit, found) }
      case 3:
        return { kind: 'overlap', id: overlaps.shift()! }
      default:
        return 'locked'
    }
  })
}

/** The conditions that are not true. */
export function conflictsOf(
  { streams, checks }: EncodedCommit,
  actuals: readonly number[],
): Extract<Outcome, { kind: 'conflict' }>['conflicts'] {
  return [...streams, ...checks]
    .map(({ stream, expected }, index) => {
      const actual = actuals[index]!
      return { stream, expected, actual: actual < 0 ? ('none' as const) : actual }
    })
    .filter(({ expected, actual }) => {
      if (expected === 'any') return false
      return expected === 'exists' ? actual === 'none' : expected !== actual
    })
}

/** The array, if there is anything in it. */
function some<T>(
  array: (values: readonly (T | undefined)[]) => Buffer,
  values: (T | undefined)[],
): Buffer | null {
  return values.some((value) => value !== undefined) ? array(values) : null
}

function int4(value: number): Buffer {
  const buffer = Buffer.allocUnsafe(4)
  buffer.writeInt32BE(value, 0)
  return buffer
}

function arrayLiteral(tags: readonly string[]): string {
  return `{${tags.map((tag) => `"${tag.replace(/["\\]/g, '\\$&')}"`).join(',')}}`
}
