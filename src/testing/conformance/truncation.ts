import assert from 'node:assert/strict'
import type { Batch, Commit, EventLog, Expected, Selector } from '../../events/log.js'
import {
  appended,
  collect,
  conflicts,
  stepwise,
  numbered,
  place,
  put,
  refuses,
  soon,
  takeBatches,
} from './kit.js'
import type { CaseDefinition } from './setup.js'

async function remaining(log: EventLog): Promise<string[]> {
  return (await collect(log.read())).map(place)
}

/** Fails unless the log is sound. */
async function verifies(log: EventLog): Promise<void> {
  const wrong = (await collect(log.verify())).filter((finding) => !finding.ok)
  assert.deepEqual(wrong, [], 'verify finds something after truncation')
}

/** Truncation and holds. */
export const truncationCases: readonly CaseDefinition[] = [
  {
    name: 'truncates a stream below a revision; its revisions go on',
    async run({ log }) {
      await put(log, 'a-1', 5)
      await put(log, 'b-1', 2)
      assert.deepEqual(await log.truncate({ stream: 'a-1', beforeRevision: 3 }), { removed: 3 })
      assert.deepEqual(await remaining(log), ['a-1@3', 'a-1@4', 'b-1@0', 'b-1@1'])
      assert.deepEqual(await log.truncate({ stream: 'a-1', beforeRevision: 3 }), { removed: 0 })
      assert.deepEqual(await log.truncate({ stream: 'absent', beforeRevision: 3 }), { removed: 0 })
      assert.equal(await log.revision('a-1'), 4)
      const streams = (): Promise<(string | number)[][]> =>
        collect(log.streams()).then((all) =>
          all.map(({ stream, firstRevision, revision }) => [stream, firstRevision, revision]).sort(),
        )
      assert.deepEqual(await streams(), [
        ['a-1', 3, 4],
        ['b-1', 0, 1],
      ])
      conflicts(await log.append({ streams: [{ stream: 'a-1', expected: 1, events: numbered(1) }] }))
      await put(log, 'a-1', 1, { expected: 4 })
      assert.deepEqual(await log.truncate({ stream: 'a-1', beforeRevision: 1000 }), { removed: 3 })
      assert.deepEqual(await streams(), [
        ['a-1', 6, 5],
        ['b-1', 0, 1],
      ])
      assert.equal(await log.revision('a-1'), 5)
      conflicts(await log.append({ streams: [{ stream: 'a-1', expected: 'none', events: numbered(1) }] }))
      assert.deepEqual((await put(log, 'a-1', 1, { expected: 'exists' })).streams, [
        { stream: 'a-1', revision: 6 },
      ])
      assert.deepEqual(await remaining(log), ['b-1@0', 'b-1@1', 'a-1@6'])
      await verifies(log)
    },
  },
  {
    name: 'truncates a category, or everything, up to a position',
    async run({ log }) {
      const positions: string[] = []
      for (let number = 0; number < 6; number++)
        positions.push(
          (await put(log, `${number % 2 === 0 ? 'a' : 'b'}-${number % 3}`, 2, { tags: ['t'] })).position,
        )
      assert.deepEqual(await log.truncate({ category: 'a', upTo: positions[3]! }), { removed: 4 })
      assert.deepEqual(await remaining(log), [
        'b-1@0',
        'b-1@1',
        'b-0@0',
        'b-0@1',
        'a-1@0',
        'a-1@1',
        'b-2@0',
        'b-2@1',
      ])
      assert.deepEqual(await log.truncate({ all: true, upTo: positions[3]! }), { removed: 4 })
      assert.deepEqual(await remaining(log), ['a-1@0', 'a-1@1', 'b-2@0', 'b-2@1'])
      assert.equal((await collect(log.read({ tags: ['t'] }))).length, 4)
      assert.equal((await collect(log.read({ category: 'a' }))).length, 2)
      const { events, first, head } = await log.stats()
      assert.deepEqual([events, head], [4, positions[5]])
      assert.equal(first, (await collect(log.read({}, { limit: 1 })))[0]?.position)
      await verifies(log)
    },
  },
  {
    name: 'positions, revisions and ids go on after everything was truncated, also after a restart',
    needs: ['restart'],
    async run({ log, restart }) {
      await put(log, 'a-1', 3)
      const { position } = await put(log, 'b-1', 2, { id: 'known' })
      assert.deepEqual(await log.truncate({ all: true, upTo: position }), { removed: 5 })
      assert.deepEqual(await remaining(log), [])
      assert.equal(await log.head(), position)
      const after = await restart()
      assert.equal(await after.head(), position, 'the end of the log has moved')
      assert.equal((await after.stats()).events, 0)
      const next = await put(after, 'a-1', 1)
      assert.ok(next.position > position, 'a position was given twice')
      assert.deepEqual(next.streams, [{ stream: 'a-1', revision: 3 }])
      assert.equal((await put(after, 'b-1', 2, { id: 'known' })).duplicate, true)
      const batches = await takeBatches(
        after.follow({}, { from: position }),
        ({ length }) => length === 1,
        'going on',
      )
      assert.deepEqual(
        batches.flatMap(({ events }) => events.map(place)),
        ['a-1@3'],
      )
      await verifies(after)
    },
  },
  {
    name: 'a follower behind truncated events is told, and goes on; one that has passed them is not',
    async run({ log }) {
      const positions: string[] = []
      for (let number = 0; number < 6; number++) positions.push((await put(log, 'a-1', 1)).position)
      await put(log, 'b-1', 3)
      const follower = stepwise(log.follow({}, { batch: 2 }))
      const first = await follower.next('the first batch')
      assert.deepEqual(first.events.map(place).slice(0, 1), ['a-1@0'])
      await log.truncate({ stream: 'a-1', beforeRevision: 4 })
      const batch = await follower.next('the batch behind the truncated events')
      assert.equal(batch.truncated, true, 'nobody has told the follower')
      assert.deepEqual(batch.events.map(place).slice(0, 1), ['a-1@4'])
      assert.equal((await follower.next('the batch after')).truncated, false)
      await follower.stop()

      const atEnd = (_: unknown, { caughtUp }: Batch): boolean => caughtUp
      for (const selector of [{}, { stream: 'a-1' }, { category: 'a' }]) {
        const from0 = await takeBatches(log.follow(selector), atEnd, 'from the start')
        assert.equal(
          from0.some(({ truncated }) => truncated),
          true,
          `${JSON.stringify(selector)} was not told`,
        )
        const passed = await takeBatches(
          log.follow(selector, { from: positions[4]! }),
          atEnd,
          'from behind it',
        )
        assert.equal(
          passed.some(({ truncated }) => truncated),
          false,
          `${JSON.stringify(selector)} was told for nothing`,
        )
      }
    },
  },
  {
    name: 'a follower whose whole part was truncated is told, and waits for more',
    async run({ log }) {
      const { position } = await put(log, 'a-1', 4)
      await log.truncate({ all: true, upTo: position })
      const follower = stepwise(log.follow({ category: 'a' }))
      const { events, truncated, caughtUp } = await follower.next('the first batch')
      assert.deepEqual([events, truncated, caughtUp], [[], true, true])
      await put(log, 'a-1', 1)
      const next = await follower.next('the next batch')
      assert.deepEqual([next.events.map(place), next.truncated], [['a-1@4'], false])
      await follower.stop()
    },
  },
  {
    name: 'truncating while others append and follow breaks neither',
    async run({ log, another }) {
      const other = await another()
      const write = async (): Promise<void> => {
        for (let number = 0; number < 100; number++) await put(log, `a-${number % 4}`, 3)
      }
      const writing = write()
      const cut = async (): Promise<number> => {
        let removed = 0
        for (let round = 0; round < 20; round++)
          removed += (await other.truncate({ all: true, upTo: await other.head() })).removed
        return removed
      }
      const atEnd = (events: readonly { stream: string; revision: number }[]): boolean =>
        events.some(({ stream, revision }) => stream === 'end' && revision === 0)
      const following = takeBatches(log.follow({}, { batch: 10 }), atEnd, 'the last event')
      const [removed] = await soon(Promise.all([cut(), writing]), 'appends and truncations')
      await put(log, 'end')
      const batches = await following
      const seen = new Map<string, number>()
      for (const { events, truncated } of batches)
        for (const { stream, revision } of events) {
          const before = seen.get(stream) ?? -1
          assert.ok(revision > before, `${stream}@${revision} comes behind ${stream}@${before}`)
          if (revision > before + 1)
            assert.ok(
              truncated || batches.some((batch) => batch.truncated),
              `nobody told that ${stream}@${before + 1} is gone`,
            )
          seen.set(stream, revision)
        }
      assert.equal((await remaining(log)).length, 301 - removed)
      for (let number = 0; number < 4; number++) assert.equal(await log.revision(`a-${number}`), 74)
      await verifies(log)
    },
  },
  {
    name: 'what a hold keeps is not removed, until the hold is moved or released',
    async run({ log }) {
      const positions: string[] = []
      for (let number = 0; number < 6; number++) positions.push((await put(log, 'a-1', 1)).position)
      await log.hold('reader', positions[1]!)
      await log.hold('other', positions[4]!)
      assert.deepEqual(
        [...(await log.stats()).holds].sort((a, b) => (a.name < b.name ? -1 : 1)),
        [
          { name: 'other', position: positions[4]! },
          { name: 'reader', position: positions[1]! },
        ],
      )
      assert.deepEqual(await log.truncate({ all: true, upTo: positions[3]! }), {
        removed: 2,
        heldBy: 'reader',
      })
      assert.deepEqual(await log.truncate({ stream: 'a-1', beforeRevision: 4 }), {
        removed: 0,
        heldBy: 'reader',
      })
      assert.deepEqual(await log.truncate({ category: 'a', upTo: positions[1]! }), { removed: 0 })
      await log.hold('reader', positions[2]!)
      assert.deepEqual(await log.truncate({ category: 'a', upTo: positions[5]! }), {
        removed: 1,
        heldBy: 'reader',
      })
      await log.release('reader')
      await log.release('reader')
      assert.deepEqual(await log.truncate({ all: true, upTo: positions[5]! }), {
        removed: 2,
        heldBy: 'other',
      })
      await log.release('other')
      assert.deepEqual(await log.truncate({ all: true, upTo: positions[5]! }), { removed: 1 })
      assert.deepEqual((await log.stats()).holds, [])
    },
  },
  {
    name: 'a hold at the start keeps everything',
    async run({ log }) {
      const { position } = await put(log, 'a-1', 3)
      await log.hold('reader', '0')
      assert.deepEqual(await log.truncate({ all: true, upTo: position }), { removed: 0, heldBy: 'reader' })
      assert.deepEqual(await log.truncate({ stream: 'a-1', beforeRevision: 2 }), {
        removed: 0,
        heldBy: 'reader',
      })
      assert.equal((await remaining(log)).length, 3)
    },
  },
  {
    name: 'what a pattern forgets of its state goes whatever holds keep, and nobody else is told',
    async run({ log }) {
      const first = await put(log, 'a-1', 2)
      for (let number = 0; number < 4; number++)
        await put(log, '$state-1', 1, { expected: number === 0 ? 'none' : number - 1, id: `s${number}` })
      await log.hold('reader', '0')
      const { commits } = await log.stats()
      assert.deepEqual(await log.truncate({ stream: '$state-1', beforeRevision: 3 }), {
        removed: 0,
        heldBy: 'reader',
      })
      const forget = { stream: '$state-1', beforeRevision: 3, forget: true }
      assert.deepEqual(await log.truncate(forget), { removed: 3 })
      assert.deepEqual(await log.truncate(forget), { removed: 0 })
      assert.deepEqual(await remaining(log), ['a-1@0', 'a-1@1', '$state-1@3'])
      assert.equal((await log.stats()).commits, commits - 3, 'commits are still known')
      const atEnd = (_: unknown, { caughtUp }: Batch): boolean => caughtUp
      const isTold = async (selector: Selector): Promise<boolean> =>
        (await takeBatches(log.follow(selector), atEnd, 'from the start')).some(({ truncated }) => truncated)
      for (const selector of [{}, { types: ['Happened'] }, { tags: ['t'] }, { category: 'a' }])
        assert.equal(await isTold(selector), false, `${JSON.stringify(selector)} was told for nothing`)
      assert.equal(await isTold({ stream: '$state-1' }), true, 'who reads the stream was not told')
      await verifies(log)

      await log.release('reader')
      await log.truncate({ all: true, upTo: first.position })
      assert.equal(await isTold({}), true, 'what all want was removed, and nobody was told')
      await put(log, '$state-1', 1, { expected: 3 })
      assert.deepEqual(await log.truncate({ stream: '$state-1', beforeRevision: 9, forget: true }), {
        removed: 2,
      })
      assert.equal(await log.revision('$state-1'), 4)
      await verifies(log)
    },
  },
  {
    name: 'only patterns forget, and only state',
    async run({ log }) {
      await put(log, 'a-1', 2)
      for (const stream of ['a-1', '$scheduled-1'])
        await refuses(
          log.truncate({ stream, beforeRevision: 1, forget: true }),
          'BANYAN_INVALID_SELECTOR',
          `forgetting ${stream}`,
        )
      assert.deepEqual(await remaining(log), ['a-1@0', 'a-1@1'])
    },
  },
  {
    name: 'ids are forgotten with the last of their commit, in every process',
    async run({ log, another }) {
      const other = await another()
      const commit = (id: string, expected: Expected, count = 1): Commit => ({
        id,
        streams: [
          { stream: '$state-1', expected, events: [{ id: `${id}e`, type: 'Kept' }, ...numbered(count - 1)] },
        ],
      })
      appended(await log.append(commit('one', 'none')))
      const two = appended(await other.append(commit('two', 0, 3)))
      await put(log, 'a-1')
      await log.truncate({ stream: '$state-1', beforeRevision: 3, forget: true })
      for (const writer of [log, other]) {
        conflicts(await writer.append(commit('one', 'none')))
        assert.deepEqual(await writer.append(commit('two', 0, 3)), { ...two, duplicate: true })
      }
      await put(log, '$state-1', 1, { expected: 3 })
      await other.truncate({ stream: '$state-1', beforeRevision: 4, forget: true })
      for (const writer of [log, other]) conflicts(await writer.append(commit('two', 0, 3)))
      // Its events' ids are free as well.
      assert.equal(appended(await log.append(commit('one', 4))).duplicate, false)
      assert.equal(appended(await other.append(commit('two', 5))).duplicate, false)
      await verifies(log)
    },
  },
  {
    name: 'a commit that has more than what is forgotten stays known',
    needs: ['log'],
    async run({ log }) {
      const streams = ['$state-1', '$state-2'].map((stream) => ({ stream, events: numbered(2) }))
      const first = appended(await log.append({ id: 'c', streams }))
      for (const { stream } of streams) {
        await log.truncate({ stream, beforeRevision: 2, forget: true })
        assert.deepEqual(await log.append({ id: 'c', streams }), { ...first, duplicate: true })
      }
      await verifies(log)
    },
  },
  {
    name: 'holds stay after a restart',
    needs: ['restart'],
    async run({ log, restart }) {
      const first = await put(log, 'a-1', 1)
      const { position } = await put(log, 'a-1', 2)
      await log.hold('reader', first.position)
      const after = await restart()
      assert.deepEqual((await after.stats()).holds, [{ name: 'reader', position: first.position }])
      assert.deepEqual(await after.truncate({ all: true, upTo: position }), { removed: 1, heldBy: 'reader' })
    },
  },
  {
    name: 'a commit of which only a part was truncated keeps the rest readable',
    needs: ['log'],
    async run({ log }) {
      const streams = ['a-1', 'b-1'].map((stream) => ({ stream, events: numbered(2) }))
      const first = appended(await log.append({ id: 'c', streams }))
      await log.truncate({ stream: 'a-1', beforeRevision: 1 })
      assert.deepEqual(await remaining(log), ['a-1@1', 'b-1@0', 'b-1@1'])
      assert.deepEqual(await log.append({ id: 'c', streams }), { ...first, duplicate: true })
      await verifies(log)
    },
  },
]
