import assert from 'node:assert/strict'
import { bucketOf } from '../../coordination/sharding/buckets.js'
import type { MoveStep, ShardStore } from '../../coordination/sharding/data/store.js'
import { BanyanError } from '../../core/errors.js'
import type { ShardStoreCase, ShardTrial } from './setup.js'

const BUCKETS = 8
const ALL: readonly number[] = Array.from({ length: BUCKETS }, (_, bucket) => bucket)
const OWNERS = ['ann', 'bob', 'cid', 'dan', 'eve'] as const
/** All rows of a copy in a page. */
const LIMIT = 100
const WAIT = 5000

const of = (key: string): number => bucketOf(key, BUCKETS)
const has =
  (code: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof BanyanError, String(error))
    assert.equal(error.code, code, error.message)
    return true
  }

function stepOf(change: Partial<MoveStep> = {}): MoveStep {
  return { id: 'm', buckets: ALL, token: 1, ...change }
}

/** The first database owns everything, and has some rows. */
async function begin<Db>({ a, b, add, write }: ShardTrial<Db>): Promise<void> {
  await a.found('one', [[0, BUCKETS]])
  await b.found('one', [])
  for (const [index, owner] of OWNERS.entries()) {
    await add(a, `i${index}`, owner, index)
    await write(a, owner, 'INSERT INTO parts (item, number, owner, note) VALUES (?, ?, ?, ?)', `i${index}`, 1, owner, index === 0 ? null : 'x') // prettier-ignore
  }
}

async function copy<Db>(from: ShardStore<Db>, to: ShardStore<Db>, step: MoveStep): Promise<void> {
  await from.moves.capture(step)
  for (const table of ['items', 'parts'])
    for (const bucket of step.buckets) {
      const query = { table, bucket, after: undefined, limit: LIMIT }
      await to.moves.writePage(step, query, await from.moves.readPage(step, query))
    }
}

async function catchUp<Db>(from: ShardStore<Db>, to: ShardStore<Db>, step: MoveStep): Promise<number> {
  const { changes, marks } = await from.moves.readChanges(step, LIMIT)
  await to.moves.applyChanges(step, changes)
  await from.moves.forgetChanges(step, marks)
  return changes.length
}

async function switchOver<Db>(from: ShardStore<Db>, to: ShardStore<Db>, step: MoveStep): Promise<void> {
  const epochs = await from.moves.block(step, WAIT)
  await catchUp(from, to, step)
  await to.moves.adopt(step, epochs)
  await from.moves.retire(step)
}

const IDS = OWNERS.map((owner, index) => `i${index} ${owner} ${index}`)

export const CASES: readonly ShardStoreCase[] = [
  {
    name: 'preparing again changes nothing, and a founded database stays what it is',
    async run({ a, connect }) {
      assert.deepEqual(await a.prepare(), { changed: false, filled: 0 })
      assert.equal(await a.identity(), undefined)
      await a.found('one', [[0, 4], [6, 7]]) // prettier-ignore
      await a.found('one', [[0, BUCKETS]])
      const { ranges, blocked } = await a.owned()
      assert.deepEqual([ranges, blocked], [[[0, 4, 1], [6, 7, 1]], []]) // prettier-ignore
      assert.deepEqual(await a.identity(), {
        name: 'conformance',
        owner: 'one',
        shard: 'a',
        buckets: BUCKETS,
      })
      await assert.rejects(a.found('two', []), has('BANYAN_SHARD_FOREIGN'))
      for (const as of [{ id: 'c' }, { name: 'other' }]) {
        const other = await connect(as)
        await assert.rejects(other.prepare(), has('BANYAN_SHARD_FOREIGN'))
      }
    },
  },
  {
    name: 'a row gets the bucket of its key, and is refused under another key, or past the router',
    async run(trial) {
      await begin(trial)
      const { a, write, items, outside } = trial
      const { rows } = await a.query(
        'SELECT owner, banyan_bucket FROM items UNION ALL SELECT owner, banyan_bucket FROM parts',
        [],
      )
      for (const row of rows) assert.equal(row['banyan_bucket'], of(String(row['owner'])))
      assert.equal(rows.length, 10)
      await assert.rejects(write(a, 'ann', "INSERT INTO items (id, owner, amount) VALUES ('x', 'bob', 1)"), has('BANYAN_SHARD_KEY_MISMATCH')) // prettier-ignore
      await assert.rejects(write(a, 'ann', "INSERT INTO items (id, owner, amount) VALUES ('x', NULL, 1)"), has('BANYAN_SHARD_KEY_REQUIRED')) // prettier-ignore
      await assert.rejects(outside(0, "INSERT INTO items (id, owner, amount) VALUES ('x', 'ann', 1)"))
      assert.deepEqual(await items(a), IDS)
    },
  },
  {
    name: 'an update that would take a row to another key is refused',
    async run(trial) {
      await begin(trial)
      const { a, write, items } = trial
      await assert.rejects(write(a, 'ann', "UPDATE items SET owner = 'bob' WHERE owner = 'ann'"), has('BANYAN_SHARD_KEY_CHANGED')) // prettier-ignore
      await assert.rejects(write(a, 'ann', 'UPDATE items SET banyan_bucket = banyan_bucket + 1'), has('BANYAN_SHARD_KEY_CHANGED')) // prettier-ignore
      await assert.rejects(write(a, 'ann', "UPDATE items SET owner = NULL WHERE owner = 'ann'"), has('BANYAN_SHARD_KEY_REQUIRED')) // prettier-ignore
      await write(a, 'ann', "UPDATE items SET owner = 'ann', amount = 7 WHERE owner = 'ann'")
      assert.deepEqual(await items(a), ['i0 ann 7', ...IDS.slice(1)])
    },
  },
  {
    name: 'rows of other keys are neither changed nor deleted in the transaction of a key',
    async run(trial) {
      await begin(trial)
      const { a, write, items, outside } = trial
      for (const sql of [
        'UPDATE items SET amount = 9',
        "UPDATE items SET amount = 9 WHERE owner = 'bob'",
        "UPDATE items SET owner = 'ann', amount = 9 WHERE id = 'i1'",
        "DELETE FROM items WHERE id = 'i1'",
        'DELETE FROM parts',
        "INSERT INTO items (id, owner, amount) VALUES ('i1', 'ann', 9) ON CONFLICT (id) DO UPDATE SET amount = 9",
      ])
        await assert.rejects(
          write(a, 'ann', sql),
          (error) =>
            has(sql.includes('SET owner') ? 'BANYAN_SHARD_KEY_CHANGED' : 'BANYAN_SHARD_KEY_MISMATCH')(error),
          sql,
        )
      assert.deepEqual(await items(a), IDS)
      await write(a, 'bob', "DELETE FROM items WHERE id = 'i1'")
      await outside(0, "UPDATE items SET amount = amount + 1 WHERE owner IN ('cid', 'dan')")
      assert.deepEqual(await items(a), ['i0 ann 0', 'i2 cid 3', 'i3 dan 4', 'i4 eve 4'])
    },
  },
  {
    name: 'what it does not own, or not at that epoch, it neither reads nor writes',
    async run({ a, b, items, add }) {
      await a.found('one', [[0, BUCKETS]])
      await b.found('one', [])
      for (const mode of ['read', 'write'] as const) {
        await assert.rejects(b.within(3, mode, () => undefined), has('BANYAN_SHARD_MOVED')) // prettier-ignore
        await assert.rejects(a.within(3, mode, () => undefined, { epoch: 2 }), has('BANYAN_SHARD_MOVED')) // prettier-ignore
        assert.equal(await a.within(3, mode, () => 'done', { epoch: 1 }), 'done')
      }
      await assert.rejects(add(b, 'x', 'ann', 1), has('BANYAN_SHARD_MOVED'))
      assert.deepEqual(await items(b), [])
    },
  },
  {
    name: 'work that throws leaves nothing, and its error comes as it is',
    async run(trial) {
      await begin(trial)
      const { a, items, add } = trial
      const failed = new Error('no')
      await assert.rejects(
        a.within(of('ann'), 'write', () => Promise.reject(failed), { key: 'ann' }),
        (error) => error === failed,
      )
      await assert.rejects(add(a, 'i0', 'ann', 1), (error) => !(error instanceof BanyanError))
      await add(a, 'i9', 'ann', 9)
      assert.deepEqual(await items(a), [...IDS, 'i9 ann 9'])
    },
  },
  {
    name: 'a query and what was owned are of one moment, all at once or some at a time',
    async run(trial) {
      await begin(trial)
      const { a, b } = trial
      const cursor = await a.cursor('SELECT id FROM items ORDER BY id', [])
      const step = stepOf()
      await copy(a, b, step)
      await switchOver(a, b, step)
      assert.deepEqual(cursor.owned.ranges, [[0, BUCKETS, 1]])
      const read = [await cursor.read(2), await cursor.read(9), await cursor.read(9)]
      assert.deepEqual(read.map((rows) => rows.map((row) => row['id'])), [['i0', 'i1'], ['i2', 'i3', 'i4'], []]) // prettier-ignore
      await cursor.close()
      await assert.rejects(cursor.read(1))
      const after = await a.query('SELECT id FROM items', [])
      assert.deepEqual([after.rows, after.owned.ranges], [[], []])
      assert.ok(after.owned.version > cursor.owned.version)
    },
  },
  {
    name: 'all rows go with their buckets, one epoch higher, and come back',
    async run(trial) {
      await begin(trial)
      const { a, b, items, write } = trial
      const before = await a.query('SELECT * FROM parts ORDER BY item', [])
      const step = stepOf()
      await copy(a, b, step)
      assert.deepEqual(await items(b), [])
      await switchOver(a, b, step)
      assert.deepEqual([await items(a), await items(b)], [[], IDS])
      assert.deepEqual((await b.query('SELECT * FROM parts ORDER BY item', [])).rows, before.rows)
      assert.deepEqual((await b.owned()).ranges, [[0, BUCKETS, 2]])
      await write(b, 'ann', 'DELETE FROM items WHERE owner = ?', 'ann')
      await write(b, 'bob', 'UPDATE items SET amount = 77 WHERE owner = ?', 'bob')
      const back = stepOf({ token: 2 })
      await switchOver(b, a, back)
      assert.deepEqual([await items(a), await items(b)], [['i1 bob 77', ...IDS.slice(2)], []])
      assert.equal(
        (await a.query('SELECT * FROM parts', [])).rows.length,
        4,
        'what was deleted with its item is gone',
      )
      assert.deepEqual((await a.owned()).ranges, [[0, BUCKETS, 3]])
      await b.moves.discard(back)
      await a.moves.release(back)
      assert.deepEqual(await items(a), ['i1 bob 77', ...IDS.slice(2)])
    },
  },
  {
    name: 'what changes while it is copied comes after: inserts, updates, deletions, other primary keys',
    async run(trial) {
      await begin(trial)
      const { a, b, items, add, write } = trial
      const step = stepOf()
      await copy(a, b, step)
      await add(a, 'n', 'bob', 9)
      await write(a, 'ann', "UPDATE items SET amount = 5 WHERE id = 'i0'")
      await write(a, 'cid', "DELETE FROM items WHERE id = 'i2'")
      await write(a, 'dan', "DELETE FROM parts WHERE item = 'i3'")
      await write(a, 'dan', "UPDATE items SET id = 'other' WHERE id = 'i3'")
      await write(a, 'eve', "DELETE FROM items WHERE id = 'i4'")
      await add(a, 'i4', 'eve', 44)
      const expected = await items(a)
      while ((await catchUp(a, b, step)) > 0);
      await switchOver(a, b, step)
      assert.deepEqual(await items(b), expected)
      assert.deepEqual(expected, ['i0 ann 5', 'i1 bob 1', 'i4 eve 44', 'n bob 9', 'other dan 3'])
    },
  },
  {
    name: 'changes of a transaction that has not ended when the capture begins are noted, or waited for',
    async run(trial) {
      await begin(trial)
      const { a, b, connect, items } = trial
      const other = await connect()
      const step = stepOf()
      let go = (): void => undefined
      const gate = new Promise<void>((resolve) => (go = resolve))
      let begun = (): void => undefined
      const isBegun = new Promise<void>((resolve) => (begun = resolve))
      const writing = other.within(
        of('ann'),
        'write',
        async (db) => {
          await trial.run(db, "UPDATE items SET amount = 9 WHERE id = 'i0'")
          begun()
          await gate
        },
        { key: 'ann' },
      )
      await isBegun
      const copying = copy(a, b, step)
      go()
      await Promise.all([writing, copying])
      await switchOver(a, b, step)
      assert.equal((await items(b))[0], 'i0 ann 9')
    },
  },
  {
    name: 'a blocked bucket is neither read nor written, and its rows stay; unblocked it is as before',
    async run(trial) {
      await begin(trial)
      const { a, items } = trial
      const step = stepOf({ buckets: [of('ann')] })
      assert.deepEqual(await a.moves.block(step, WAIT), [[of('ann'), 1]])
      for (const mode of ['read', 'write'] as const)
        await assert.rejects(a.within(of('ann'), mode, () => undefined), has('BANYAN_SHARD_BUSY')) // prettier-ignore
      assert.deepEqual((await a.owned()).blocked, [of('ann')])
      assert.deepEqual(await items(a), IDS)
      await a.moves.unblock(step)
      assert.deepEqual((await a.owned()).blocked, [])
      await a.within(of('ann'), 'read', () => undefined)
    },
  },
  {
    name: 'a bucket is not blocked under a transaction that writes to it: it waits, or gives up',
    async run(trial) {
      await begin(trial)
      const { a, connect } = trial
      const other = await connect()
      let go = (): void => undefined
      const gate = new Promise<void>((resolve) => (go = resolve))
      let begun = (): void => undefined
      const isBegun = new Promise<void>((resolve) => (begun = resolve))
      const writing = other.within(of('ann'), 'write', async () => {
        begun()
        await gate
      })
      await isBegun
      await assert.rejects(a.moves.block(stepOf(), 50), has('BANYAN_SHARD_BUSY'))
      assert.deepEqual((await a.owned()).blocked, [])
      go()
      await writing
      await a.moves.block(stepOf(), WAIT)
      assert.equal((await a.owned()).blocked.length, BUCKETS)
    },
  },
  {
    name: 'every step may be done again',
    async run(trial) {
      await begin(trial)
      const { a, b, items, write } = trial
      const step = stepOf()
      await copy(a, b, step)
      await copy(a, b, step)
      await write(a, 'ann', "UPDATE items SET amount = 5 WHERE id = 'i0'")
      const { changes, marks } = await a.moves.readChanges(step, LIMIT)
      assert.equal(changes.length, 1)
      for (let times = 0; times < 2; times++) await b.moves.applyChanges(step, changes)
      for (let times = 0; times < 2; times++) await a.moves.forgetChanges(step, marks)
      const epochs = await a.moves.block(step, WAIT)
      assert.deepEqual(await a.moves.block(step, WAIT), epochs)
      assert.equal((await b.moves.staged(step)).adopted, false)
      for (let times = 0; times < 2; times++) await b.moves.adopt(step, epochs)
      assert.equal((await b.moves.staged(step)).adopted, true)
      for (let times = 0; times < 2; times++) await a.moves.retire(step)
      for (let times = 0; times < 2; times++) await a.moves.discard(step)
      for (let times = 0; times < 2; times++) await b.moves.release(step)
      assert.deepEqual([await items(a), await items(b)], [[], ['i0 ann 5', ...IDS.slice(1)]])
      assert.deepEqual((await b.owned()).ranges, [[0, BUCKETS, 2]])
    },
  },
  {
    name: 'a step with a token below one that was seen does nothing',
    async run(trial) {
      await begin(trial)
      const { a, b, items } = trial
      const stale = stepOf({ token: 4 })
      const step = stepOf({ token: 5 })
      await copy(a, b, step)
      const query = { table: 'items', bucket: of('ann'), after: undefined, limit: LIMIT }
      const page = await a.moves.readPage(stale, query)
      const { changes } = await a.moves.readChanges(stale, LIMIT)
      const steps: (() => Promise<unknown>)[] = [
        () => a.moves.capture(stale),
        () => a.moves.forgetChanges(stale, []),
        () => a.moves.block(stale, WAIT),
        () => a.moves.unblock(stale),
        () => a.moves.retire(stale),
        () => a.moves.release(stale),
        () => b.moves.writePage(stale, query, page),
        () => b.moves.applyChanges(stale, changes),
        () => b.moves.adopt(stale, ALL.map((bucket) => [bucket, 1])), // prettier-ignore
        () => b.moves.discard(stale),
      ]
      for (const late of steps) await assert.rejects(late(), has('BANYAN_STALE_TOKEN'))
      assert.deepEqual((await b.moves.staged(step)).progress.length, 2 * BUCKETS)
      await switchOver(a, b, step)
      assert.deepEqual(await items(b), IDS)
    },
  },
  {
    name: 'digests and counts tell what is staged from what is there, row by row',
    async run(trial) {
      await begin(trial)
      const { a, b, outside } = trial
      const step = stepOf()
      await copy(a, b, step)
      const rows = []
      for (const bucket of ALL)
        rows.push(
          ...(await a.moves.readPage(step, { table: 'parts', bucket, after: undefined, limit: 9 })).rows,
        )
      const keys = rows.map(({ key }) => key)
      const expected = new Map(rows.map(({ key, digest }) => [key, digest]))
      assert.deepEqual(await a.moves.digests(step, 'parts', keys, 'tables'), expected)
      assert.deepEqual(await b.moves.digests(step, 'parts', keys, 'staged'), expected)
      assert.equal(await b.moves.count(step, 'parts', 'staged'), 5)
      assert.equal(await b.moves.count(step, 'parts', 'tables'), 0)
      await outside(1, "UPDATE banyan_staged_parts SET note = 'y' WHERE item = 'i0'")
      await outside(1, "DELETE FROM banyan_staged_parts WHERE item = 'i1'")
      const found = await b.moves.digests(step, 'parts', keys, 'staged')
      const wrong = rows.filter(({ key, digest }) => found.get(key) !== digest)
      assert.deepEqual(wrong.map(({ shardKey }) => shardKey).sort(), ['ann', 'bob'])
    },
  },
  {
    name: 'a copy comes in pages, in the order of the primary key, and knows how far it is',
    async run(trial) {
      await begin(trial)
      const { a, b, add } = trial
      for (let number = 0; number < 9; number++) await add(a, `p${number}`, 'ann', number)
      const bucket = of('ann')
      const step = stepOf({ buckets: [bucket] })
      await a.moves.capture(step)
      const seen: string[] = []
      let after: string | undefined
      for (let last = false; !last;) {
        const query = { table: 'items', bucket, after, limit: 4 }
        const page = await a.moves.readPage(step, query)
        await b.moves.writePage(step, query, page)
        seen.push(...page.rows.map(({ key }) => key))
        after = page.rows.at(-1)?.key ?? after
        last = page.last
        const { progress } = await b.moves.staged(step)
        assert.deepEqual(progress, [{ table: 'items', bucket, after, last, rows: seen.length }])
      }
      assert.equal(new Set(seen).size, seen.length)
      assert.equal(seen.length, await a.moves.count(step, 'items', 'tables'))
    },
  },
  {
    name: 'rows that come do not overwrite others: the conflict is named, and nothing is adopted',
    async run(trial) {
      await begin(trial)
      const { a, b, add, items } = trial
      const [mine, theirs] = [of('ann'), ALL.find((bucket) => bucket !== of('ann'))!]
      const step = stepOf({ buckets: [mine] })
      const other = stepOf({ id: 'n', buckets: ALL.filter((bucket) => bucket !== mine) })
      await copy(a, b, other)
      await switchOver(a, b, other)
      const owner = OWNERS.find((name) => of(name) !== mine) ?? `k${theirs}`
      await add(b, 'i0', owner, 5)
      await copy(a, b, step)
      assert.match((await b.moves.conflict(step, 'items')) ?? '', /i0/)
      assert.equal(await b.moves.conflict(step, 'parts'), undefined)
      const epochs = await a.moves.block(step, WAIT)
      await assert.rejects(b.moves.adopt(step, epochs), has('BANYAN_SHARD_UNFIT'))
      assert.equal((await b.moves.staged(step)).adopted, false)
      await a.moves.unblock(step)
      assert.ok((await items(a)).includes('i0 ann 0') && (await items(b)).includes(`i0 ${owner} 5`))
    },
  },
  {
    name: 'a table that was changed since it was prepared does not move until it is prepared again',
    async run(trial) {
      await begin(trial)
      const { a, outside } = trial
      await outside(0, 'ALTER TABLE items ADD COLUMN extra integer')
      const query = { table: 'items', bucket: of('ann'), after: undefined, limit: LIMIT }
      await assert.rejects(a.moves.readPage(stepOf(), query), has('BANYAN_SHARD_UNFIT'))
      assert.equal((await a.prepare()).changed, true)
      assert.equal((await a.moves.readPage(stepOf(), query)).rows.length, OWNERS.filter((owner) => of(owner) === of('ann')).length) // prettier-ignore
    },
  },
]
