import { describe, expect, it } from 'vitest'
import { bucketOf } from '../../src/core/hashing/buckets.js'
import { seededRandom } from '../../src/core/random.js'
import { openReadModels, type AnyProjection, type Projector } from '../../src/events/index.js'
import { virtualRuntime } from '../../src/testing/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { SEED, times } from '../support/effort.js'
import { ScriptedPart } from '../support/scripted-part.js'
import { Bench, engines, errorOf, type Moved } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

const BUCKETS = 4
const buckets = Array.from({ length: BUCKETS }, (_, bucket) => bucket)
const bucketOfAccount = (account: number): number => bucketOf(`account-${account}`, BUCKETS)
/** An account in each of the buckets. */
const accounts = buckets.map((bucket) => {
  for (let account = 1; ; account++) if (bucketOfAccount(account) === bucket) return account
})
const parts = (first: number): ScriptedPart[] =>
  buckets.map((bucket) => new ScriptedPart(String(bucket), first + bucket))

describe.each(engines(missing ? undefined : server))('a projection with buckets, in $name', (engine) => {
  it('has every event once, each of its buckets on its own, and is read as new as it was asked for', async () => {
    await using bench = await Bench.open(engine)
    const sums = bench.sums({ buckets: BUCKETS })
    const [first, second, reader] = [await bench.models(), await bench.models(), await bench.models()]
    const expected: Record<string, number> = {}
    const move = async (account: number, by: number): Promise<string> => {
      expected[`account-${account}`] = (expected[`account-${account}`] ?? 0) + by
      return bench.move(account, by)
    }
    for (let account = 1; account < 20; account++) await move(account, account)
    for (const [bucket, part] of parts(1).entries()) (bucket % 2 ? first : second).run(sums, { part })
    expect(await bench.read(reader, { consistency: 'strong', timeout: '10s' })).toEqual(expected)
    for (let count = 0; count < 12; count++) {
      const after = await move(1 + (count % 19), 1)
      expect(await bench.read(reader, { after, timeout: '10s' })).toEqual(expected)
    }
    const [status] = await reader.list()
    expect(status).toMatchObject({ name: 'balance', state: 'running', running: true, active: true })
    expect(status!.parts!.map(({ bucket, state }) => [bucket, state])).toEqual(
      buckets.map((bucket) => [bucket, 'running']),
    )
    expect(await reader.list()).toHaveLength(1)
  })

  it('lets a reader wait for the bucket of a key alone', async () => {
    await using bench = await Bench.open(engine)
    const sums = bench.sums({ buckets: BUCKETS })
    const models = await bench.models()
    models.run(sums, { part: parts(1)[1]! })
    const after = [await bench.move(accounts[0]!, 1), await bench.move(accounts[1]!, 2)][1]!
    const there = { [`account-${accounts[1]}`]: 2 }
    expect(await bench.read(models, { after, key: `account-${accounts[1]}` })).toEqual(there)
    expect(await bench.read(models, { after, bucket: 1 })).toEqual(there)
    expect(await errorOf(bench.read(models, { after, bucket: BUCKETS }))).toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
    })
    // Nobody runs the others.
    const late = await errorOf(bench.read(models, { after, timeout: '20ms' }))
    expect(late).toMatchObject({ code: 'BANYAN_READ_TOO_OLD' })
    expect(late.message).toContain('balance/0 version 1 is at position')
    expect(
      await errorOf(bench.read(models, { after, key: `account-${accounts[0]}`, timeout: '20ms' })),
    ).toMatchObject({
      code: 'BANYAN_READ_TOO_OLD',
    })
    expect(await errorOf(bench.read(models, { after: '9'.repeat(16) }))).toMatchObject({
      code: /AHEAD|INVALID_POSITION/,
    })
  })

  it('goes over, bucket by bucket, to who is given it, and refuses those that had it before', async () => {
    await using bench = await Bench.open(engine)
    const sums = bench.sums({ buckets: BUCKETS })
    const [first, second] = [await bench.models(), await bench.models()]
    const old = parts(1)
    const before = old.map((part) => first.run(sums, { part }))
    const [account] = accounts
    await bench.read(first, { after: await bench.move(account!, 1), timeout: '10s' })
    old[0]!.give()
    await before[0]!.ended
    second.run(sums, { part: new ScriptedPart(0, 10) })
    expect(await bench.read(second, { after: await bench.move(account!, 2), timeout: '10s' })).toEqual({
      [`account-${account}`]: 3,
    })
    // Without a word: who had it finds out with its next transaction.
    second.run(sums, { part: new ScriptedPart(1, 11) })
    const over = before[1]!.ended.catch(() => 'over')
    let sum = 0
    do {
      const after = await bench.move(accounts[1]!, 5)
      expect(await bench.read(second, { after, timeout: '10s' })).toMatchObject({
        [`account-${accounts[1]}`]: (sum += 5),
      })
    } while ((await Promise.race([over, Promise.resolve()])) !== 'over')
    expect(await errorOf(first.run(sums, { part: old[1]! }).ended)).toMatchObject({
      code: 'BANYAN_STALE_TOKEN',
    })
  })

  it('builds another version with other buckets beside it, switches to it, and drops the old one', async () => {
    await using bench = await Bench.open(engine)
    const models = await bench.models()
    for (const part of parts(1)) models.run(bench.sums({ buckets: BUCKETS }), { part })
    await bench.read(models, { after: await bench.move(1, 1), timeout: '10s' })
    const next = bench.sums({ version: 2, buckets: 2 })
    const rebuilt = [models.run(next, { part: new ScriptedPart(0, 1) })]
    await rebuilt[0]!.caughtUp()
    expect(await errorOf(models.switch('balance', 2, { timeout: '20ms' }))).toMatchObject({
      code: 'BANYAN_PROJECTION_BEHIND',
    })
    rebuilt.push(models.run(next, { part: new ScriptedPart(1, 1) }))
    await Promise.all(rebuilt.map((projector) => projector.caughtUp()))
    expect(await models.switch('balance', 2)).toMatchObject({ version: 2, before: 1 })
    expect(await bench.read(models, { after: await bench.move(2, 2), timeout: '10s' })).toEqual({
      'account-1': 1,
      'account-2': 2,
    })
    await models.drop('balance', 1)
    const store = await engine.store(bench.where)
    const rows = await store.read((view) => view.rows())
    expect(rows.filter(({ version }) => version === 1)).toEqual([])
    await store.close()
  })

  it('parks an event that fails in its bucket, and the others do not notice', async () => {
    await using bench = await Bench.open(engine)
    let isBroken = true
    const sums = bench.sums({ buckets: BUCKETS }, ({ data }) => {
      if (isBroken && data.by === 13) throw new Error('unlucky')
    })
    const models = await bench.models()
    for (const part of parts(1)) models.run(sums, { part, onError: 'park', attempts: 1 })
    await models.wait('balance', { consistency: 'strong', timeout: '10s' })
    await bench.move(accounts[2]!, 13)
    const after = await bench.move(accounts[3]!, 1)
    const own = { after, timeout: '10s' } as const
    expect(await errorOf(bench.read(models, own))).toMatchObject({ code: 'BANYAN_READ_INCOMPLETE' })
    expect(await bench.read(models, { ...own, key: `account-${accounts[3]}` })).toEqual({
      [`account-${accounts[3]}`]: 1,
    })
    const parked = []
    for await (const row of models.parked('balance', 1)) parked.push(row.stream)
    expect(parked).toEqual([`account-${accounts[2]}`])
    expect(await models.list()).toMatchObject([{ parked: 1 }])
    isBroken = false
    expect(await models.retryParked(sums)).toMatchObject({ handled: 1, left: 0 })
    expect(await bench.read(models, own)).toMatchObject({ [`account-${accounts[2]}`]: 13 })
  })

  it('goes with the first half of a bucket that is split', async () => {
    await using bench = await Bench.open(engine)
    const sums = bench.sums({ buckets: BUCKETS })
    const models = await bench.models()
    const account = accounts[1]!
    const key = `account-${account}`
    const whole = new ScriptedPart('1', 1)
    const before = models.run(sums, { part: whole })
    await bench.read(models, { after: await bench.move(account, 1), key, timeout: '10s' })
    const halves = ['1/0', '1/1'].map((half, index) => new ScriptedPart(half, 2 + index))
    whole.give()
    await before.ended
    const [first, second] = halves.map((part) => models.run(sums, { part }))
    expect(await bench.read(models, { after: await bench.move(account, 1), key, timeout: '10s' })).toEqual({
      [key]: 2,
    })
    halves[1]!.give()
    await second!.ended
    expect(await bench.read(models, { after: await bench.move(account, 1), key, timeout: '10s' })).toEqual({
      [key]: 3,
    })
    halves[0]!.give()
    await first!.ended
  })

  it('says which bucket has stopped to those who wait for it', async () => {
    await using bench = await Bench.open(engine)
    const models = await bench.models()
    const sums = bench.sums({ buckets: BUCKETS }, ({ data }) => {
      if (data.by === 13) throw new Error('unlucky')
    })
    const running = parts(1).map((part) => models.run(sums, { part, attempts: 1 }))
    const after = await bench.move(accounts[2]!, 13)
    const error = await errorOf(bench.read(models, { after, timeout: '1h' }))
    expect(error.message).toMatch(/balance\/2 version 1 has stopped at position .* unlucky/)
    expect(await errorOf(running[2]!.ended)).toMatchObject({ code: 'BANYAN_PROJECTION_FAILED' })
    expect(await models.list()).toMatchObject([
      { state: 'failed', error: expect.stringContaining('unlucky') as string },
    ])
  })

  it('is read by its key function, where it has one', async () => {
    await using bench = await Bench.open(engine)
    const sums = bench.sums({
      buckets: BUCKETS,
      key: ({ data }) => `size ${String((data as Moved['data']).by)}`,
    })
    const models = await bench.models()
    for (const part of parts(1)) models.run(sums, { part })
    const after = await bench.move(1, 1)
    expect(await errorOf(bench.read(models, { after }))).toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
    const read = { after, timeout: '10s', key: 'size 1' } as const
    const all = await models.query(sums, ({ db, table }) => engine.sums(db).all(table('sum')), read)
    expect(all).toEqual([['account-1', 1]])
    expect(
      await errorOf(models.run(bench.sums({ buckets: BUCKETS }), { part: new ScriptedPart(0, 99) }).ended),
    ).toMatchObject({
      code: 'BANYAN_READ_MODEL_CORRUPT',
    })
  })

  it(`has every event once, whoever has its buckets, gives them back or loses them (seed ${SEED})`, async () => {
    await using bench = await Bench.open(engine)
    const random = seededRandom(SEED)
    const below = (most: number): number => Math.floor(random.next() * most)
    const sums = bench.sums({ buckets: BUCKETS })
    const members = [await bench.models(), await bench.models(), await bench.models()]
    const running = new Map<number, { part: ScriptedPart; projector: Projector }>()
    let epoch = 0
    const assign = (bucket: number): void => {
      const part = new ScriptedPart(bucket, ++epoch)
      running.set(bucket, { part, projector: members[below(3)]!.run(sums, { part }) })
    }
    for (const bucket of buckets) assign(bucket)
    const expected: Record<string, number> = {}
    for (let step = 0; step < times(30); step++) {
      for (let count = below(8); count > 0; count--) {
        const [account, by] = [1 + below(20), 1 + below(9)]
        expected[`account-${account}`] = (expected[`account-${account}`] ?? 0) + by
        await bench.move(account, by)
      }
      const bucket = below(BUCKETS)
      const { part, projector } = running.get(bucket)!
      // Who has lost it may find out much later.
      if (random.next() < 0.3) assign(bucket)
      else if (random.next() < 0.5) part.lose()
      else {
        part.give()
        await projector.ended
      }
      if (running.get(bucket)!.part === part) assign(bucket)
    }
    const last = await bench.move(1, 1)
    expected['account-1'] = (expected['account-1'] ?? 0) + 1
    expect(await bench.read(members[0]!, { after: last, timeout: '30s' })).toEqual(expected)
  })
})

describe('a projection with buckets', () => {
  it('notes now and then that it has passed events of others, and which one was the last', async () => {
    await using bench = await Bench.open(engines()[0]!)
    const runtime = virtualRuntime()
    const sums = bench.sums({ buckets: BUCKETS })
    const models = await bench.models({ runtime })
    const part = new ScriptedPart(0, 1)
    const projector = models.run(sums, { part })
    await bench.move(accounts[0]!, 1)
    await runtime.clock.settle(projector.caughtUp())
    const before = projector.status().position!
    await bench.move(accounts[1]!, 1)
    const last = await bench.move(accounts[2]!, 1)
    await runtime.clock.advance('100ms')
    expect(projector.status().position).toBe(before)
    await runtime.clock.advance('1s')
    expect(projector.status().position).toBe(last)
    await runtime.clock.settle(projector.close())
    // It is of this log, and goes on.
    const again = models.run(sums, { part })
    await runtime.clock.settle(again.caughtUp())
    const read = { after: await bench.move(accounts[0]!, 1), bucket: 0 }
    expect(await runtime.clock.settle(bench.read(models, read))).toEqual({ [`account-${accounts[0]}`]: 2 })
    await runtime.clock.settle(again.close())
  })

  it('can be in a store for each bucket, which a new owner goes on with or makes anew', async () => {
    await using bench = await Bench.open(engines()[0]!)
    const sums = bench.sums({ buckets: BUCKETS })
    const [here, elsewhere] = [
      await openReadModels('memory:', bench.log),
      await openReadModels('memory:', bench.log),
    ]
    let sum = 0
    for (const [epoch, models] of [here, elsewhere, here].entries()) {
      const part = new ScriptedPart(1, epoch + 1)
      const projector = models.run(sums, { part })
      await bench.move(accounts[0]!, 1)
      const after = await bench.move(accounts[1]!, 1)
      const options = { after, bucket: 1, timeout: '10s' } as const
      const read = models.query(
        'balance',
        ({ db, table }) => bench.engine.sums(db).all(table('sum')),
        options,
      )
      expect(await read).toEqual([[`account-${accounts[1]}`, ++sum]])
      part.give()
      await projector.ended
    }
    await here.close()
    await elsewhere.close()
  })

  it('is refused where it makes no sense', async () => {
    await using bench = await Bench.open(engines()[0]!)
    const models = await bench.models()
    const invalid = expect.objectContaining({ code: 'BANYAN_INVALID_OPTIONS' }) as Error
    const divided: AnyProjection<unknown> = bench.sums({ buckets: BUCKETS })
    expect(() => models.run(divided)).toThrow(invalid)
    expect(() => models.run(bench.sums(), { part: new ScriptedPart(0, 1) })).toThrow(invalid)
    for (const bucket of [BUCKETS, `${BUCKETS}/0`, 'x'])
      expect(() => models.run(divided, { part: new ScriptedPart(bucket, 1) })).toThrow(invalid)
    expect(() => models.run(divided, { part: new ScriptedPart(0, 1), fence: { token: 1 } })).toThrow(invalid)
    expect(() => bench.sums({ buckets: BUCKETS, effects: { Moved: () => undefined } })).toThrow(invalid)
    expect(() => bench.sums({ buckets: 1 })).toThrow(invalid)
  })
})
