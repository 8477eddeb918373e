import assert from 'node:assert/strict'
import type { EventLog, RecordedEvent } from '../../events/log.js'
import { outcomeOf } from '../history/recorder.js'
import {
  appended,
  assertRising,
  collect,
  conflicts,
  numbered,
  place,
  put,
  refuses,
  soon,
  takeEvents,
  turns,
} from './kit.js'
import type { CaseDefinition, OpenTransaction } from './setup.js'

function inside(
  log: EventLog,
  { client }: OpenTransaction,
  stream: string,
  count = 1,
  id?: string,
): Promise<unknown> {
  const streams = [{ stream, events: numbered(count, 0, 'Inside') }]
  return log
    .within(client)
    .append({ ...(id !== undefined && { id }), streams })
    .then(appended)
}

/** Reads on from wherever it is until told to stop, as often as it can: the way to skip what commits late. */
function eagerReader(log: EventLog): { seen: RecordedEvent[]; stop(): Promise<void> } {
  const seen: RecordedEvent[] = []
  let stopped = false as boolean
  const run = async (): Promise<void> => {
    for (let position = '0'; !stopped;) {
      for await (const event of log.read({}, { from: position })) {
        seen.push(event)
        position = event.position
      }
      await turns(1)
    }
  }
  const running = run()
  return {
    seen,
    stop: () => {
      stopped = true
      return running
    },
  }
}

/** Appends inside transactions of the caller: when they commit late, in another order, or not at all. */
export const transactionCases: readonly CaseDefinition[] = [
  {
    name: 'events of a transaction are there when it commits, and not before',
    needs: ['transactions'],
    async run({ log, transaction }) {
      const open = await transaction()
      const result = appended(
        await log
          .within(open.client)
          .append({ id: 'c', streams: [{ stream: 'a-1', expected: 'none', events: numbered(2) }] }),
      )
      assert.deepEqual(result, {
        ok: true,
        id: 'c',
        streams: [{ stream: 'a-1', revision: 1 }],
        duplicate: false,
      })
      assert.deepEqual(await collect(log.read()), [])
      assert.equal(await log.revision('a-1'), 'none')
      await open.commit()
      assert.deepEqual((await collect(log.read())).map(place), ['a-1@0', 'a-1@1'])
      const again = appended(
        await log.append({ id: 'c', streams: [{ stream: 'a-1', expected: 'none', events: numbered(2) }] }),
      )
      assert.equal(again.duplicate, true)
      assert.equal(again.position, await log.head())
    },
  },
  {
    name: 'a transaction that is rolled back leaves nothing: no event, no revision, no id',
    needs: ['transactions'],
    async run({ log, transaction }) {
      await put(log, 'a-1', 1)
      const open = await transaction()
      await inside(log, open, 'a-1', 3, 'c')
      await inside(log, open, 'b-1', 1)
      await open.rollback()
      assert.equal(await log.revision('a-1'), 0)
      assert.equal(await log.revision('b-1'), 'none')
      assert.deepEqual((await put(log, 'a-1', 3, { id: 'c', type: 'Inside' })).streams, [
        { stream: 'a-1', revision: 3 },
      ])
      assert.deepEqual(
        (await takeEvents(log.follow(), 4, 'past the rollback')).map(({ revision }) => revision),
        [0, 1, 2, 3],
      )
      assert.equal((await collect(log.verify())).at(-1)?.ok, true)
    },
  },
  {
    name: 'a transaction sees its own appends, and conflicts in it are results that leave it usable',
    needs: ['transactions'],
    async run({ log, transaction }) {
      await put(log, 'a-1', 2)
      const open = await transaction()
      const within = log.within(open.client)
      const streams = [{ stream: 'a-1', expected: 0, events: numbered(1) }]
      assert.deepEqual(
        conflicts(await within.append({ streams, checks: [{ stream: 'b-1', expected: 'exists' }] })),
        [
          { stream: 'a-1', expected: 0, actual: 1 },
          { stream: 'b-1', expected: 'exists', actual: 'none' },
        ],
      )
      appended(
        await within.append({ id: 'c', streams: [{ stream: 'a-1', expected: 1, events: numbered(1) }] }),
      )
      const second = appended(
        await within.append({ id: 'c', streams: [{ stream: 'a-1', expected: 1, events: numbered(1) }] }),
      )
      assert.equal(second.duplicate, true)
      await refuses(
        within.append({ id: 'c', streams: [{ stream: 'z', events: numbered(1) }] }),
        'BANYAN_COMMIT_OVERLAP',
        'another commit c',
      )
      appended(await within.append({ streams: [{ stream: 'a-1', expected: 2, events: numbered(1) }] }))
      await open.commit()
      assert.deepEqual((await collect(log.read())).map(place), ['a-1@0', 'a-1@1', 'a-1@2', 'a-1@3'])
    },
  },
  {
    name: 'nobody skips what a transaction commits late, while others commit before it',
    needs: ['transactions'],
    async run({ log, another, transaction }) {
      const other = await another()
      const reader = eagerReader(other)
      const following = takeEvents(other.follow({}, { batch: 3 }), 46, 'a follower over late commits')
      const late: OpenTransaction[] = []
      for (let number = 0; number < 3; number++) {
        await put(log, `other-${number}`, 2)
        const open = await transaction()
        await inside(log, open, `late-${number}`, 2)
        late.push(open)
        for (let count = 0; count < 5; count++) await put(count % 2 === 0 ? log : other, `busy-${count}`, 2)
        await turns(20)
      }
      // Not in the order in which they began.
      for (const open of [late[1]!, late[2]!, late[0]!]) {
        await open.commit()
        await put(log, 'between', 1)
      }
      await put(log, 'end', 1)
      const followed = await following
      const all = await collect(log.read())
      assertRising(all, 'the log')
      assert.deepEqual(followed.map(place), all.map(place), 'the follower has not seen what is in the log')
      for (; reader.seen.length < all.length;) {
        const before = reader.seen.length
        await turns(20)
        await collect(other.read())
        if (reader.seen.at(-1)?.stream === 'end' && reader.seen.length === before) break
      }
      await reader.stop()
      assert.deepEqual(
        reader.seen.map(place),
        all.map(place),
        'whoever reads on from where they were has missed events',
      )
    },
  },
  {
    name: 'an append to other streams does not wait for an open transaction',
    needs: ['transactions'],
    async run({ log, transaction }) {
      const open = await transaction()
      await inside(log, open, 'late')
      for (let number = 0; number < 3; number++) {
        await soon(put(log, 'a-1', 1, { first: number }), 'an append while a transaction is open')
        assert.equal(await log.revision('a-1'), number)
      }
      await open.commit()
      assert.deepEqual((await takeEvents(log.follow(), 4, 'all four')).length, 4)
    },
  },
  {
    name: 'a transaction that appends late keeps the order of the stream',
    needs: ['transactions'],
    async run({ log, transaction }) {
      await put(log, 'a-1', 1)
      const open = await transaction()
      // It has begun, and has written something, long before it appends to the stream.
      await inside(log, open, 'b-1')
      for (let number = 0; number < 3; number++) await put(log, 'a-1', 1, { first: number })
      const following = takeEvents(log.follow({ stream: 'a-1' }), 7, 'a follower of the stream')
      await turns(20)
      await inside(log, open, 'a-1', 2)
      await open.commit()
      await put(log, 'a-1', 1)
      const events = await collect(log.read({ stream: 'a-1' }))
      assert.deepEqual(
        events.map(({ revision }) => revision),
        [0, 1, 2, 3, 4, 5, 6],
      )
      assertRising(events, 'the stream')
      assert.deepEqual((await following).map(place), events.map(place))
      assertRising(await collect(log.read()), 'the log')
      assert.equal((await collect(log.verify())).at(-1)?.ok, true)
    },
  },
  {
    name: 'an append to a stream that an open transaction has written may wait for it, and holds up no other',
    needs: ['transactions'],
    async run({ log, transaction }) {
      await put(log, 'a-1', 1)
      const open = await transaction()
      await inside(log, open, 'a-1')
      const waiting = put(log, 'a-1', 1)
      const others = [1, 2, 3].map((number) => put(log, `b-${number}`, 1))
      await soon(Promise.all(others), 'appends to other streams in the same turn')
      await soon(put(log, 'b-1', 1), 'an append to another stream later')
      await open.commit()
      await soon(waiting, 'an append to a stream that a transaction had written')
      const events = await collect(log.read({ stream: 'a-1' }))
      assert.deepEqual(
        events.map(({ revision }) => revision),
        [0, 1, 2],
      )
      assertRising(events, 'the stream')
      assert.equal((await collect(log.read())).length, 7)
    },
  },
  {
    name: 'closing while an append waits for an open transaction ends both, and the answer is true',
    needs: ['transactions', 'restart'],
    run: async ({ log, transaction, restart }) => {
      await put(log, 'a-1', 1)
      const open = await transaction()
      await inside(log, open, 'a-1')
      const waiting = put(log, 'a-1', 1, { id: 'waiting' }).then(
        () => true,
        (error: unknown) => (outcomeOf(error) === 'failed' ? false : undefined),
      )
      await turns(20)
      const closing = log.close()
      await turns(20)
      await open.commit()
      const answer = await soon(waiting, 'the append that waits')
      await soon(closing, 'close')
      const after = await restart()
      const isThere = (await collect(after.read())).some(({ commit }) => commit === 'waiting')
      if (answer !== undefined) assert.equal(isThere, answer, 'the answer to the append is not true')
    },
  },
  {
    name: 'the same commit inside an open transaction and outside of it is appended once',
    needs: ['transactions'],
    async run({ log, transaction }) {
      for (const end of ['commit', 'rollback'] as const) {
        const open = await transaction()
        await inside(log, open, `${end}-1`, 2, `c-${end}`)
        const outside = put(log, `${end}-1`, 2, { id: `c-${end}`, type: 'Inside' })
        await turns(20)
        await open[end]()
        const result = await soon(outside, 'the same commit outside')
        assert.equal(result.duplicate, end === 'commit')
        assert.equal((await collect(log.read({ stream: `${end}-1` }))).length, 2)
      }
    },
  },
  {
    name: 'a transaction that is open in another database holds nobody up',
    needs: ['elsewhere'],
    async run({ log, transactionElsewhere }) {
      const open = await transactionElsewhere()
      const following = takeEvents(
        log.follow(),
        5,
        'a follower while a transaction is open in another database',
      )
      for (let number = 0; number < 5; number++) await put(log, 'a-1', 1, { first: number })
      assert.equal((await following).length, 5)
      assert.equal((await collect(log.read())).length, 5)
      await open.rollback()
    },
  },
  {
    name: 'says that it cannot append inside a transaction, if it cannot',
    needs: ['no transactions'],
    run({ log }) {
      assert.throws(() => log.within({}), { code: 'BANYAN_UNSUPPORTED' })
      return Promise.resolve()
    },
  },
]
