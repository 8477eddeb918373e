import assert from 'node:assert/strict'
import type { AppendResult, Commit, EventLog } from '../../events/log.js'
import { appended, collect, conflicts, numbered, put, refuses, soon } from './kit.js'
import type { CaseDefinition } from './setup.js'

const COMMIT = {
  id: 'first',
  streams: [{ stream: 'a-1', expected: 'none', events: numbered(2) }],
} satisfies Commit

/** Asks again, and fails unless the answer is the first one. */
async function again(log: EventLog, commit: Commit, first: AppendResult, when: string): Promise<void> {
  assert.deepEqual(
    await log.append(commit),
    { ...appended(first), duplicate: true },
    `the same commit ${when}`,
  )
}

/** The same commit again, another one under its name, and ids of events. */
export const idCases: readonly CaseDefinition[] = [
  {
    name: 'the same commit again gives the first result, whatever has happened since',
    async run({ log, another }) {
      const first = await log.append(COMMIT)
      await again(log, COMMIT, first, 'at once')
      for (let number = 0; number < 100; number++) await put(log, 'a-1', 1, { first: number })
      await again(log, COMMIT, first, 'when its stream is no longer as it expects')
      await again(await another(), COMMIT, first, 'from another handle')
      assert.equal(await log.revision('a-1'), 101)
    },
  },
  {
    name: 'the same commit with several streams gives the revision of each',
    needs: ['log'],
    async run({ log }) {
      await put(log, 'b-1', 7)
      const streams = ['b-1', 'a-1', 'c-1'].map((stream, index) => ({ stream, events: numbered(index + 1) }))
      const first = await log.append({ id: 'wide', streams })
      for (const stream of ['a-1', 'b-1', 'c-1']) await put(log, stream, 5)
      await again(log, { id: 'wide', streams }, first, 'over three streams')
    },
  },
  {
    name: 'the same commit from everywhere at once is appended once',
    async run({ log, another }) {
      const other = await another()
      for (let number = 0; number < 30; number++) {
        const commit = { id: `c${number}`, streams: [{ stream: 'a-1', events: numbered(2) }] }
        const writers = [log, other, log, other]
        const results = await soon(
          Promise.all(writers.map((writer) => writer.append(commit))),
          'the same commit 4 times',
        )
        assert.equal(results.filter((result) => !appended(result).duplicate).length, 1)
        assert.deepEqual(new Set(results.map((result) => appended(result).position)).size, 1)
        for (const result of results)
          assert.deepEqual(appended(result).streams, [{ stream: 'a-1', revision: number * 2 + 1 }])
      }
      assert.equal((await collect(log.read())).length, 60)
    },
  },
  {
    name: 'the same commit again gives the first result after a restart',
    needs: ['restart', 'for ever'],
    async run({ log, restart }) {
      const first = await log.append(COMMIT)
      await put(log, 'a-1', 3)
      const after = await restart()
      await again(after, COMMIT, first, 'after a restart')
      assert.equal(await after.revision('a-1'), 4)
    },
  },
  {
    name: 'the same commit again gives the first result after its events were truncated',
    needs: ['for ever'],
    async run({ log }) {
      const first = await log.append(COMMIT)
      const { position } = await put(log, 'a-1', 3)
      await log.truncate({ all: true, upTo: position })
      await again(log, COMMIT, first, 'after truncation')
      assert.equal(await log.revision('a-1'), 4)
      assert.deepEqual(await collect(log.read()), [])
    },
  },
  {
    name: 'another commit under a taken id is refused: other events, types or streams',
    async run({ log, another }) {
      appended(await log.append(COMMIT))
      const others: Commit[] = [
        { id: 'first', streams: [{ stream: 'a-1', events: numbered(3) }] },
        { id: 'first', streams: [{ stream: 'a-1', events: numbered(1) }] },
        { id: 'first', streams: [{ stream: 'a-1', events: numbered(2, 0, 'Other') }] },
        { id: 'first', streams: [{ stream: 'b-1', events: numbered(2) }] },
        {
          id: 'first',
          streams: [{ stream: 'a-1', events: [...numbered(1), { id: 'x', type: 'Happened' }] }],
        },
      ]
      for (const commit of others)
        for (const writer of [log, await another()])
          await refuses(writer.append(commit), 'BANYAN_COMMIT_OVERLAP', JSON.stringify(commit))
      assert.equal(await log.revision('a-1'), 1)
      assert.equal(await log.revision('b-1'), 'none')
    },
  },
  {
    name: 'ids of events are taken once, also after truncation, and a commit that overlaps is refused whole',
    async run({ log }) {
      const events = ['e1', 'e2', 'e3'].map((id) => ({ id, type: 'Happened' }))
      const first = appended(await log.append({ streams: [{ stream: 'a-1', events }] }))
      assert.equal(first.id, 'e1', 'a commit whose events all have ids has that of the first one')
      await again(log, { streams: [{ stream: 'a-1', events }] }, first, 'under the id of its first event')
      const overlapping = (ids: string[], id?: string): Promise<AppendResult> => {
        const list = ids.map((each) => ({ id: each, type: 'Happened' }))
        return log.append({ ...(id !== undefined && { id }), streams: [{ stream: 'b-1', events: list }] })
      }
      for (const ids of [['e3'], ['e2', 'e9'], ['e9', 'e2'], ['e1', 'e9']])
        await refuses(overlapping(ids), 'BANYAN_COMMIT_OVERLAP', `events ${ids.join()}`)
      await refuses(overlapping(['e1'], 'other'), 'BANYAN_COMMIT_OVERLAP', 'event e1 in another commit')
      await log.truncate({ all: true, upTo: first.position })
      await refuses(overlapping(['e2'], 'other'), 'BANYAN_COMMIT_OVERLAP', 'event e2 after its truncation')
      assert.equal(await log.revision('b-1'), 'none')
      appended(await overlapping(['e9'], 'other'))
    },
  },
  {
    name: 'a refused commit leaves its id, and the ids of its events, free',
    async run({ log }) {
      await put(log, 'a-1')
      const commit = (expected: 'none' | 'exists'): Commit => ({
        id: 'again',
        streams: [{ stream: 'a-1', expected, events: [{ id: 'e', type: 'Happened' }] }],
      })
      conflicts(await log.append(commit('none')))
      conflicts(await log.append(commit('none')))
      const result = appended(await log.append(commit('exists')))
      assert.equal(result.duplicate, false)
      assert.deepEqual(result.streams, [{ stream: 'a-1', revision: 1 }])
    },
  },
]
