import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { EncodedCommit } from '../../events/driver.js'
import { formatPosition } from '../../events/position.js'
import {
  packGroup,
  packOutcomes,
  unpackGroup,
  unpackOutcomes,
  type PackedGroup,
  type WriterOutcome,
} from './wire.js'

const name = fc.string({ minLength: 1, unit: 'grapheme' }).filter((text) => !text.includes('\0'))
const expected = fc.oneof(fc.constantFrom('any' as const, 'none' as const, 'exists' as const), fc.nat())
const event = fc.record({
  id: fc.option(name, { nil: undefined }),
  type: name,
  data: fc.oneof(fc.json(), fc.uint8Array(), fc.constant(undefined)),
  metadata: fc.oneof(fc.constant(''), fc.constant('{"actor":"x"}')),
  tags: fc.array(name, { maxLength: 3 }),
  schemaVersion: fc.integer({ min: 1, max: 0x7fffffff }),
  time: fc.maxSafeInteger(),
  checksum: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
})
const stream = fc.record({
  stream: name,
  category: name,
  expected,
  events: fc.array(event, { minLength: 1, maxLength: 3 }),
})
const unnumbered = fc.record({
  id: name,
  digest: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  recorded: fc.nat(),
  bytes: fc.nat(),
  streams: fc.array(stream, { maxLength: 3 }),
  checks: fc.array(fc.record({ stream: name, expected }), { maxLength: 2 }),
})
const group = fc
  .array(unnumbered, { minLength: 1, maxLength: 5 })
  .map((commits) => commits.map((commit) => numbered(commit)))

/** With the ordinals that events have over all streams of a commit. */
function numbered(
  commit: typeof unnumbered extends fc.Arbitrary<infer Commit> ? Commit : never,
): EncodedCommit {
  let ordinal = 0
  const streams = commit.streams.map((one) => ({
    ...one,
    events: one.events.map((each) => ({ ...each, ordinal: ordinal++ })),
  }))
  return { ...commit, streams, events: ordinal }
}

test('a group comes out of the other thread as it went in', () => {
  fc.assert(
    fc.property(group, (commits) => {
      expect(unpackGroup(structuredClone(packGroup(commits)))).toEqual(commits)
    }),
  )
})

test('a name with NUL in it, which would come out as two, is refused', () => {
  const packed: PackedGroup = {
    commits: 1,
    names: 'a\0b',
    count: 1,
    numbers: new Float64Array(),
    contents: [],
  }
  expect(() => unpackGroup(packed)).toThrow('NUL')
})

test('outcomes come back as they were', () => {
  const revisions = fc.array(fc.nat(), { maxLength: 3 })
  const outcome = fc.oneof(
    fc.record({
      kind: fc.constant('appended' as const),
      position: fc.nat(),
      revisions,
      duplicate: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('overlap' as const), id: name }),
    fc.record({
      kind: fc.constant('conflict' as const),
      conflicts: fc.array(
        fc.record({ stream: name, expected, actual: fc.oneof(fc.constant('none' as const), fc.nat()) }),
      ),
    }),
  )
  fc.assert(
    fc.property(fc.array(outcome), (outcomes: WriterOutcome[]) => {
      const commits = outcomes.map((each) => ({
        streams: each.kind === 'appended' ? each.revisions : [],
      })) as unknown as EncodedCommit[]
      const wanted = outcomes.map((each) =>
        each.kind === 'appended' ? { ...each, position: formatPosition(each.position) } : each,
      )
      expect(unpackOutcomes(structuredClone(packOutcomes(outcomes)), commits)).toEqual(wanted)
    }),
  )
})
