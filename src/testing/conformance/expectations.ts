import assert from 'node:assert/strict'
import type { AppendResult, EventLog, Expected } from '../../events/log.js'
import { appended, collect, conflicts, numbered, put } from './kit.js'
import type { CaseDefinition } from './setup.js'

function expecting(log: EventLog, stream: string, expected: Expected): Promise<AppendResult> {
  return log.append({ streams: [{ stream, expected, events: numbered(1) }] })
}

/** Expected revisions and checks, and that what is refused leaves nothing. */
export const expectationCases: readonly CaseDefinition[] = [
  {
    name: 'appends to a stream that is as expected: any, none, exists, a revision',
    async run({ log }) {
      appended(await expecting(log, 'a-1', 'none'))
      appended(await expecting(log, 'a-1', 'exists'))
      appended(await expecting(log, 'a-1', 1))
      appended(await expecting(log, 'a-1', 'any'))
      appended(await expecting(log, 'b-1', 'any'))
      assert.equal(await log.revision('a-1'), 3)
    },
  },
  {
    name: 'refuses with the actual revision when a stream is not as expected, in the past or in the future',
    async run({ log }) {
      await put(log, 'a-1', 3)
      const wrong: [string, Expected, number | 'none'][] = [
        ['a-1', 'none', 2],
        ['a-1', 0, 2],
        ['a-1', 1, 2],
        ['a-1', 3, 2],
        ['a-1', Number.MAX_SAFE_INTEGER, 2],
        ['b-1', 'exists', 'none'],
        ['b-1', 0, 'none'],
        ['b-1', 7, 'none'],
      ]
      const { position } = await put(log, 'other')
      for (const [stream, expected, actual] of wrong)
        assert.deepEqual(conflicts(await expecting(log, stream, expected)), [{ stream, expected, actual }])
      assert.equal(await log.head(), position, 'a refused append has moved the end of the log')
      assert.equal(await log.revision('a-1'), 2)
      assert.equal(await log.revision('b-1'), 'none')
      appended(await expecting(log, 'a-1', 2))
    },
  },
  {
    name: 'a commit is appended to all of its streams or to none, and every stream that is not as expected is named',
    needs: ['log'],
    async run({ log }) {
      await put(log, 'a-1', 1)
      await put(log, 'b-1', 2)
      const { position } = await put(log, 'e-1', 1)
      const result = await log.append({
        id: 'refused',
        streams: [
          { stream: 'a-1', expected: 0, events: numbered(1) },
          { stream: 'b-1', expected: 0, events: numbered(1) },
          { stream: 'c-1', expected: 'exists', events: numbered(1) },
          { stream: 'd-1', events: numbered(1) },
        ],
        checks: [
          { stream: 'e-1', expected: 'none' },
          { stream: 'f-1', expected: 'none' },
          { stream: 'g-1', expected: 4 },
        ],
      })
      assert.deepEqual(conflicts(result), [
        { stream: 'b-1', expected: 0, actual: 1 },
        { stream: 'c-1', expected: 'exists', actual: 'none' },
        { stream: 'e-1', expected: 'none', actual: 0 },
        { stream: 'g-1', expected: 4, actual: 'none' },
      ])
      assert.equal(await log.head(), position)
      for (const [stream, revision] of [
        ['a-1', 0],
        ['b-1', 1],
        ['c-1', 'none'],
        ['d-1', 'none'],
      ] as const)
        assert.equal(await log.revision(stream), revision, `a part of a refused commit is in ${stream}`)
      assert.deepEqual(
        (await collect(log.streams())).map(({ stream }) => stream).sort(),
        ['a-1', 'b-1', 'e-1'],
        'a refused commit has left a stream',
      )
    },
  },
  {
    name: 'checks look at streams that are not written, and leave them as they are',
    needs: ['log'],
    async run({ log }) {
      await put(log, 'limit', 2)
      const append = (expected: Expected): Promise<AppendResult> =>
        log.append({
          streams: [{ stream: 'a-1', events: numbered(1) }],
          checks: [
            { stream: 'limit', expected },
            { stream: 'absent', expected: 'none' },
          ],
        })
      appended(await append(1))
      assert.deepEqual(conflicts(await append(0)), [{ stream: 'limit', expected: 0, actual: 1 }])
      appended(await append('exists'))
      assert.equal(await log.revision('limit'), 1)
      assert.equal(await log.revision('absent'), 'none')
      assert.equal(await log.revision('a-1'), 1)
    },
  },
  {
    name: 'a commit without events only checks: it takes no position, and its id is not taken',
    needs: ['log'],
    async run({ log }) {
      const nothing = appended(await log.append({ id: 'nothing' }))
      assert.deepEqual(nothing, { ok: true, id: 'nothing', position: '0', streams: [], duplicate: false })
      const check = (): Promise<AppendResult> =>
        log.append({ id: 'check', checks: [{ stream: 'a-1', expected: 'none' }] })
      appended(await check())
      const { position } = await put(log, 'a-1')
      assert.deepEqual(conflicts(await check()), [{ stream: 'a-1', expected: 'none', actual: 0 }])
      const now = appended(await log.append({ id: 'check', checks: [{ stream: 'a-1', expected: 0 }] }))
      assert.equal(now.position, position)
      assert.equal(now.duplicate, false)
      assert.equal(await log.head(), position)
      const taken = await put(log, 'a-1', 1, { id: 'check' })
      assert.equal(taken.duplicate, false)
      assert.equal((await collect(log.read())).length, 2)
    },
  },
]
