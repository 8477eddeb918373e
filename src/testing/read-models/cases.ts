import assert from 'node:assert/strict'
import { BanyanError } from '../../core/errors.js'
import { MovedError, type CheckpointRow, type ParkedRow } from '../../events/projections/store.js'
import type { ReadModelCase, ReadModelTrial } from './setup.js'

const TABLE = 'conformance_v1_item'

function rowOf(change: Partial<CheckpointRow> = {}): CheckpointRow {
  return {
    name: 'conformance',
    version: 1,
    revision: 0,
    position: '0',
    active: false,
    state: 'running',
    owner: '',
    updated: 1_767_225_600_000,
    details: '{}',
    checksum: 4_294_967_295,
    ...change,
  }
}

function parkedOf(change: Partial<ParkedRow> = {}): ParkedRow {
  return {
    name: 'conformance',
    version: 1,
    position: '0000000000000001',
    key: 'a',
    stream: 'a',
    type: 'Happened',
    attempts: 1,
    reason: 'why',
    time: 1_767_225_600_000,
    ...change,
  }
}

/** A row and a table with one value. */
async function prepare<Db>({ store, create, set }: ReadModelTrial<Db>): Promise<void> {
  await store.write(async (transaction) => {
    await create(transaction.db, TABLE)
    await set(transaction.db, TABLE, 'a', 1)
    await transaction.put(rowOf(), undefined)
  })
}

/** What is there: the revision of the row, and the value. */
function seen<Db>({ store, get }: ReadModelTrial<Db>): Promise<unknown[]> {
  return store.read(async (view) => {
    const rows = await view.rows('conformance')
    return [rows[0]?.revision, await get(view.db, TABLE, 'a')]
  })
}

const moved = (error: unknown): boolean => error instanceof MovedError

export const CASES: readonly ReadModelCase[] = [
  {
    name: 'rows come back as they were written, by name and version, over every connection',
    async run({ store, another }) {
      const rows = [
        rowOf({
          name: 'a',
          version: 2,
          active: true,
          state: 'failed',
          owner: 'o',
          details: '{"é":"\u2028\\""}',
        }),
        rowOf({ name: 'a', version: 10, revision: 9_007_199_254_740_991, position: '0000000000000007' }),
        rowOf({ name: 'b', version: 0, state: 'rebuilding' }),
      ]
      await store.write(async (transaction) => {
        for (const row of [...rows].reverse()) await transaction.put(row, undefined)
      })
      for (const one of [store, await another()]) {
        assert.deepEqual(await one.read((view) => view.rows()), rows)
        assert.deepEqual(await one.read((view) => view.rows('a')), rows.slice(0, 2))
        assert.deepEqual(await one.read((view) => view.rows('none')), [])
        assert.deepEqual(await one.write((transaction) => transaction.lock('a', 2)), rows[0])
        assert.equal(await one.write((transaction) => transaction.lock('a', 3)), undefined)
      }
    },
  },
  {
    name: 'a row that is not at its revision is not changed, and nothing else of the transaction happens',
    async run(trial) {
      await prepare(trial)
      for (const previous of [undefined, 1, 7])
        await assert.rejects(
          trial.store.write(async (transaction) => {
            await trial.set(transaction.db, TABLE, 'a', 2)
            await transaction.park(parkedOf())
            await transaction.put(rowOf({ revision: 8 }), previous)
          }),
          moved,
        )
      await assert.rejects(
        trial.store.write((transaction) => transaction.remove('conformance', 1, 7)),
        moved,
      )
      assert.deepEqual(await seen(trial), [0, 1])
      assert.deepEqual(await trial.store.read((view) => view.parked('conformance', 1, { limit: 9 })), [])
    },
  },
  {
    name: 'of transactions that change a row from the same revision one happens, whoever they are',
    async run(trial) {
      await prepare(trial)
      const stores = [trial.store, await trial.another(), trial.store]
      const results = await Promise.allSettled(
        stores.map((store, index) =>
          store.write(async (transaction) => {
            const row = await transaction.lock('conformance', 1)
            if (row?.revision !== 0) throw new MovedError()
            await trial.set(transaction.db, TABLE, 'a', 10 + index)
            await transaction.put({ ...row, revision: 1 }, 0)
            return 10 + index
          }),
        ),
      )
      const [winner, ...others] = results.filter(({ status }) => status === 'fulfilled')
      assert.ok(winner && others.length === 0, 'exactly one happens')
      for (const result of results) assert.ok(result.status === 'fulfilled' || moved(result.reason))
      assert.deepEqual(await seen(trial), [1, (winner as PromiseFulfilledResult<number>).value])
    },
  },
  {
    name: 'a transaction whose work throws leaves nothing, neither rows nor tables',
    async run(trial) {
      await prepare(trial)
      const failed = new Error('no')
      await assert.rejects(
        trial.store.write(async (transaction) => {
          await trial.set(transaction.db, TABLE, 'a', 2)
          await trial.create(transaction.db, 'conformance_v2_item')
          await transaction.put(rowOf({ revision: 1 }), 0)
          await transaction.park(parkedOf())
          throw failed
        }),
        (error) => error === failed,
      )
      assert.deepEqual(await seen(trial), [0, 1])
      const tables = await trial.store.read((view) => view.describe([TABLE, 'conformance_v2_item']))
      assert.equal(typeof tables[0], 'string')
      assert.equal(tables[1], undefined)
    },
  },
  {
    name: 'one version of a name is active',
    async run({ store }) {
      await store.write((transaction) => transaction.put(rowOf({ active: true }), undefined))
      await assert.rejects(
        store.write((transaction) => transaction.put(rowOf({ version: 2, active: true }), undefined)),
        moved,
      )
      await store.write(async (transaction) => {
        await transaction.put(rowOf({ revision: 1 }), 0)
        await transaction.put(rowOf({ version: 2, active: true }), undefined)
        await transaction.put(rowOf({ name: 'other', active: true }), undefined)
      })
    },
  },
  {
    name: 'a view is one moment of rows and tables, whatever happens meanwhile',
    async run(trial) {
      await prepare(trial)
      const writer = await trial.another()
      await trial.store.read(async (view) => {
        const before = [(await view.rows('conformance'))[0]?.revision, await trial.get(view.db, TABLE, 'a')]
        await writer.write(async (transaction) => {
          await trial.set(transaction.db, TABLE, 'a', 2)
          await transaction.put(rowOf({ revision: 1 }), 0)
        })
        const after = [(await view.rows('conformance'))[0]?.revision, await trial.get(view.db, TABLE, 'a')]
        assert.deepEqual([before, after], [[0, 1], [0, 1]]) // prettier-ignore
      })
      assert.deepEqual(await seen(trial), [1, 2])
    },
  },
  {
    name: 'db is of no use after its transaction, and does not write in a view',
    async run(trial) {
      await prepare(trial)
      const kept = await trial.store.write((transaction) => Promise.resolve([transaction.db]))
      await assert.rejects(async () => {
        await trial.set(kept[0]!, TABLE, 'a', 5)
      })
      await assert.rejects(
        trial.store.read(async (view) => {
          await trial.set(view.db, TABLE, 'a', 5)
        }),
      )
      assert.deepEqual(await seen(trial), [0, 1])
    },
  },
  {
    name: 'parked events are kept in the order of positions, by key, and go with their version',
    async run({ store }) {
      const parked = [1, 2, 3].map((number) =>
        parkedOf({ position: String(number).padStart(16, '0'), key: number === 2 ? 'b' : 'a' }),
      )
      await store.write(async (transaction) => {
        for (const version of [1, 2]) await transaction.put(rowOf({ version }), undefined)
        for (const row of [...parked].reverse()) await transaction.park(row)
        await transaction.park(parkedOf({ version: 2 }))
        await transaction.park({ ...parked[2]!, attempts: 7, reason: 'again' })
      })
      const read = (query: { after?: string; key?: string; limit: number }): Promise<string[]> =>
        store.read(async (view) =>
          (await view.parked('conformance', 1, query)).map(({ position }) => position.slice(-1)),
        )
      assert.deepEqual(await read({ limit: 9 }), ['1', '2', '3'])
      assert.deepEqual(await read({ limit: 2 }), ['1', '2'])
      assert.deepEqual(await read({ limit: 9, after: parked[0]!.position }), ['2', '3'])
      assert.deepEqual(await read({ limit: 9, key: 'a' }), ['1', '3'])
      const last = await store.read((view) =>
        view.parked('conformance', 1, { limit: 1, after: parked[1]!.position }),
      )
      assert.deepEqual(last, [{ ...parked[2]!, attempts: 7, reason: 'again' }])
      await store.write((transaction) => transaction.unpark('conformance', 1, parked[0]!.position))
      assert.deepEqual(await read({ limit: 9 }), ['2', '3'])
      await store.write((transaction) => transaction.remove('conformance', 1, 0))
      assert.deepEqual(await read({ limit: 9 }), [])
      assert.equal((await store.read((view) => view.parked('conformance', 2, { limit: 9 }))).length, 1)
    },
  },
  {
    name: 'a view stands for a table, then for another, and goes',
    async run(trial) {
      await prepare(trial)
      const { store, create, set, get } = trial
      const read = (): Promise<number | undefined> =>
        store.read((view) => get(view.db, 'conformance_item', 'a'))
      await store.write((transaction) =>
        transaction.publish([{ name: 'conformance_item', table: TABLE }], []),
      )
      assert.equal(await read(), 1)
      await store.write(async (transaction) => {
        await create(transaction.db, 'conformance_v2_item')
        await set(transaction.db, 'conformance_v2_item', 'a', 2)
        await transaction.publish(
          [{ name: 'conformance_item', table: 'conformance_v2_item' }],
          ['conformance_item'],
        )
      })
      assert.equal(await read(), 2)
      await store.write((transaction) => transaction.publish([], ['conformance_item']))
      await assert.rejects(read)
    },
  },
  {
    name: 'tables are found by how their names begin, and dropped',
    async run(trial) {
      await prepare(trial)
      const { store, create } = trial
      await store.write((transaction) => create(transaction.db, 'conformance_v10_item'))
      const tables = (prefix: string): Promise<readonly string[]> =>
        store.write((transaction) => transaction.tables(prefix))
      assert.deepEqual(await tables('conformance_v1_'), [TABLE])
      assert.deepEqual(await tables('conformance_v_'), [])
      await store.write((transaction) => transaction.drop([TABLE, 'conformance_v1_other']))
      assert.deepEqual(await tables('conformance_v1'), ['conformance_v10_item'])
      assert.deepEqual(await store.read((view) => view.describe([TABLE])), [undefined])
    },
  },
  {
    name: 'a store that was closed says so',
    async run({ another }) {
      const store = await another()
      await store.close()
      const closed = (error: unknown): boolean =>
        error instanceof BanyanError && error.code === 'BANYAN_READ_MODEL_CLOSED'
      await assert.rejects(async () => store.read(() => undefined), closed)
      await assert.rejects(async () => store.write(() => undefined), closed)
      await store.close()
    },
  },
]
