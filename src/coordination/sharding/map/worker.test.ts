import { describe, expect, it } from 'vitest'
import { wrapDriver } from '../../../testing/coordination/kit.js'
import { ShardCluster } from '../../../../test/support/shards.js'
import { bucketOf } from '../buckets.js'
import { openShardMap, readShards, splitShard, type OwnedBucket } from '../../index.js'

describe('workers of a shard map', () => {
  it('have a part of the buckets each, every bucket one of them', async () => {
    const cluster = new ShardCluster()
    for (const name of ['a', 'b', 'c', 'd']) cluster.join(name, { buckets: 64 })
    await cluster.advance('5s')
    expect(cluster.owners().size).toBe(64)
    expect(cluster.counts()).toEqual({ a: 16, b: 16, c: 16, d: 16 })
  })

  it('have as much as their weights say', async () => {
    const cluster = new ShardCluster()
    cluster.join('small', { buckets: 60 })
    cluster.join('large', { weight: 2 })
    await cluster.advance('5s')
    expect(cluster.counts()).toEqual({ small: 20, large: 40 })
  })

  it('give a newcomer its part, and nothing else moves', async () => {
    const cluster = new ShardCluster()
    for (const name of ['a', 'b', 'c']) cluster.join(name, { buckets: 60, movesAtOnce: 2 })
    await cluster.advance('5s')
    const before = cluster.owners()
    cluster.join('d')
    await cluster.advance('20s')
    const after = cluster.owners()
    const moved = [...after].filter(([bucket, owner]) => before.get(bucket) !== owner)
    expect(moved).toHaveLength(15)
    expect(new Set(moved.map(([, owner]) => owner))).toEqual(new Set(['d']))
  })

  it('move no more than a few buckets at the same time', async () => {
    const cluster = new ShardCluster()
    const options = { buckets: 60, movesAtOnce: 4, own: cluster.work(500) }
    let ending = 0
    let most = 0
    for (const name of ['a', 'b', 'c'])
      cluster.join(name, options).on('change', ({ kind }) => {
        ending += kind === 'ending' ? 1 : kind === 'ended' ? -1 : 0
        most = Math.max(most, ending)
      })
    await cluster.advance('5s')
    cluster.join('d', options)
    await cluster.advance('30s')
    expect(cluster.counts()).toEqual({ a: 15, b: 15, c: 15, d: 15 })
    expect(most).toBe(4)
  })

  it('take over what a worker had whose process is gone, when its lease is over, with higher epochs', async () => {
    const cluster = new ShardCluster()
    const lost: OwnedBucket[] = []
    let isGone = false
    const driver = wrapDriver(cluster.store.connect(), {
      renew: (leases) => (isGone ? new Promise(() => undefined) : cluster.store.connect().renew(leases, 0)),
    })
    cluster.join('a', { buckets: 20 })
    const worker = cluster.join('b', {}, cluster.coordinator(driver))
    await cluster.advance('5s')
    lost.push(...worker.owned)
    expect(lost).toHaveLength(10)
    isGone = true
    // It has stopped to believe in its lease, and the engine keeps that for others.
    await cluster.advance('7s')
    expect(lost.every(({ held }) => held)).toBe(false)
    expect(cluster.counts()).toEqual({ a: 10, b: 0 })
    await worker.close()
    await cluster.advance('10s')
    expect(cluster.workers.get('a')!.owned).toHaveLength(20)
    const now = new Map(cluster.workers.get('a')!.owned.map((owned) => [owned.bucket, owned.epoch]))
    for (const { bucket, epoch } of lost) expect(now.get(bucket)).toBeGreaterThan(epoch)
  })

  it('end their work before the next one begins', async () => {
    const cluster = new ShardCluster()
    const working = new Map<string, string>()
    const own =
      (name: string) =>
      async (owned: OwnedBucket): Promise<void> => {
        expect(working.get(owned.bucket)).toBeUndefined()
        working.set(owned.bucket, name)
        await cluster.work(700)(owned)
        expect(working.get(owned.bucket)).toBe(name)
        working.delete(owned.bucket)
      }
    for (const name of ['a', 'b', 'c']) cluster.join(name, { buckets: 12, own: own(name) })
    await cluster.advance('5s')
    const closed = cluster.workers.get('b')!.close()
    cluster.workers.delete('b')
    await cluster.runtime.clock.settle(closed)
    cluster.join('d', { own: own('d') })
    await cluster.advance('20s')
    expect(cluster.counts()).toEqual({ a: 4, c: 4, d: 4 })
    expect(working.size).toBe(12)
  })

  it('keep a bucket whose work does not end, and say so', async () => {
    const cluster = new ShardCluster()
    cluster.join('stuck', { buckets: 4, own: () => new Promise(() => undefined) })
    await cluster.advance('5s')
    cluster.join('b')
    await cluster.advance('20s')
    const { owned, state } = cluster.workers.get('stuck')!
    expect(owned).toHaveLength(3)
    expect(Object.keys(state.releasing)).toHaveLength(1)
    expect(cluster.workers.get('b')!.owned).toEqual([])
    expect(cluster.logged.join()).toContain('has not ended; nobody has it meanwhile')
  })

  it('leave to others what they have ended, if they are closed and some work does not end', async () => {
    const cluster = new ShardCluster()
    const never = new Promise<void>(() => undefined)
    const works = [() => never, ...Array.from({ length: 4 }, () => cluster.work())]
    cluster.join('a', { buckets: 10 })
    const leaving = cluster.join('b', { own: (owned) => works.shift()!(owned) })
    await cluster.advance('5s')
    expect(cluster.counts()).toEqual({ a: 5, b: 5 })
    void leaving.close()
    await cluster.advance('5s')
    expect(cluster.counts()).toEqual({ a: 9, b: 0 })
    expect(leaving.state.kind).toBe('closing')
    const { workers, unowned } = await readShards(cluster.coordinator(), 'orders')
    const [, left] = workers
    expect(left).toMatchObject({ worker: 'b', buckets: 1, planned: 0, draining: true })
    expect([Object.keys(left!.releasing).length, unowned]).toEqual([1, 0])
  })

  it('have the halves of a bucket that was split before anybody had it', async () => {
    const cluster = new ShardCluster()
    const waiting: (() => void)[] = []
    const driver = wrapDriver(cluster.store.connect(), {
      put: async (...given) => {
        if (given[0].includes('/owned/')) await new Promise<void>((go) => waiting.push(go))
        return cluster.store.connect().put(...given)
      },
    })
    const worker = cluster.join('a', { buckets: 64 }, cluster.coordinator(driver))
    await cluster.advance('3s')
    await splitShard(cluster.coordinator(), 'orders', '63')
    await cluster.advance('1s')
    for (let round = 0; round < 3; round++) {
      for (const go of waiting.splice(0)) go()
      await cluster.advance('1s')
    }
    expect(worker.owned).toHaveLength(65)
  })

  it('do not begin with what somebody took away before they knew that they had it', async () => {
    const cluster = new ShardCluster()
    const epochs: number[] = []
    let answer: () => void = () => undefined
    let held = 0
    const driver = wrapDriver(cluster.store.connect(), {
      put: async (...given) => {
        const result = await cluster.store.connect().put(...given)
        if (given[0].includes('/owned/') && held++ === 0) await new Promise<void>((go) => (answer = go))
        return result
      },
    })
    const own = ({ epoch }: OwnedBucket): void => void epochs.push(epoch)
    cluster.join('a', { buckets: 1, own }, cluster.coordinator(driver))
    await cluster.advance('3s')
    const operator = cluster.coordinator()
    await operator.delete('banyan/shards/orders/owned/0/')
    await cluster.advance('1s')
    answer()
    await cluster.advance('3s')
    expect(epochs).toEqual([(await operator.get('banyan/shards/orders/owned/0/'))!.revision])
  })

  it('are told which keys are theirs', async () => {
    const cluster = new ShardCluster()
    cluster.join('a')
    cluster.join('b')
    await cluster.advance('5s')
    for (const key of ['x', 'y', 'z', 'order-1']) {
      const holders = [...cluster.workers.values()].flatMap((worker) => worker.holds(key) ?? [])
      expect(holders.map(({ bucket }) => bucket)).toEqual([String(bucketOf(key, 256))])
    }
  })

  it('get the same buckets after a restart that is faster than `settle`', async () => {
    const cluster = new ShardCluster()
    for (const name of ['a', 'b']) cluster.join(name, { buckets: 10, settle: '1m' })
    await cluster.advance('70s')
    const before = cluster.owners()
    await cluster.runtime.clock.settle(cluster.workers.get('b')!.close())
    await cluster.advance('30s')
    expect(cluster.counts()).toEqual({ a: 5, b: 0 })
    cluster.join('b', { settle: '1m' })
    await cluster.advance('5s')
    expect(cluster.owners()).toEqual(before)
  })

  it('begin at once where the map is known in the process already', async () => {
    const cluster = new ShardCluster()
    const coordinator = cluster.coordinator()
    const map = openShardMap(coordinator, 'orders')
    cluster.join('a', { buckets: 4, settle: '1m' }, coordinator)
    await cluster.advance('70s')
    await cluster.runtime.clock.settle(cluster.workers.get('a')!.close())
    cluster.join('a', { settle: '1m' }, coordinator)
    await cluster.advance('5s')
    expect(cluster.counts()).toEqual({ a: 4 })
    await map.close()
  })

  it('leave without a gap when they drain', async () => {
    const cluster = new ShardCluster()
    for (const name of ['a', 'b']) cluster.join(name, { buckets: 10 })
    await cluster.advance('5s')
    const leaving = cluster.workers.get('b')!
    await cluster.runtime.clock.settle(leaving.drain())
    expect(leaving.state.kind).toBe('draining')
    await cluster.runtime.clock.settle(leaving.close())
    expect(leaving.state.kind).toBe('closed')
    await cluster.advance('1s')
    expect(cluster.counts()).toEqual({ a: 10, b: 0 })
  })

  it('refuse another number of buckets than the map was made with', async () => {
    const cluster = new ShardCluster()
    const first = cluster.join('a', { buckets: 8 })
    await cluster.runtime.clock.settle(first.ready)
    const other = cluster.join('b', { buckets: 16 })
    await expect(cluster.runtime.clock.settle(other.ready)).rejects.toMatchObject({
      code: 'BANYAN_NAME_CLASH',
      message: 'the shard map "orders" was made with 8 buckets, not 16; that stays so until it is removed',
    })
    await cluster.advance('1s')
    expect(other.state.kind).toBe('closed')
  })

  it('wait until a process of the same name is gone', async () => {
    const cluster = new ShardCluster()
    const first = cluster.join('a', { buckets: 4 })
    await cluster.advance('5s')
    const second = cluster.join('a')
    await cluster.advance('5s')
    expect(second.state).toMatchObject({ kind: 'joining', failure: { code: 'BANYAN_NAME_CLASH' } })
    await cluster.runtime.clock.settle(first.close())
    await cluster.advance('5s')
    expect(second.owned).toHaveLength(4)
  })

  it('measure what moves, and for how long nobody has a bucket', async () => {
    const cluster = new ShardCluster()
    cluster.join('a', { buckets: 6 })
    await cluster.advance('5s')
    cluster.join('b')
    await cluster.advance('5s')
    const measured = (name: string): (number | undefined)[] =>
      [...cluster.measured].flatMap(([key, count]) => (key.startsWith(`${name}{`) ? [count] : []))
    expect(cluster.measured.get('banyan.shards.moves{banyan.shards=orders,banyan.why=new}')).toBe(6)
    expect(cluster.measured.get('banyan.shards.moves{banyan.shards=orders,banyan.why=balance}')).toBe(3)
    expect(
      cluster.measured.get('banyan.shards.ended{banyan.shards=orders,banyan.why=moved,banyan.worker=a}'),
    ).toBe(3)
    expect(measured('banyan.shards.vacancy')).toEqual([3])
  })

  it('call work that has failed again', async () => {
    const cluster = new ShardCluster()
    let calls = 0
    cluster.join('a', {
      buckets: 1,
      own: () => {
        if (++calls < 3) throw new Error('no')
      },
    })
    await cluster.advance('10s')
    expect(calls).toBe(3)
    expect(cluster.logged.filter((line) => line.includes('the work of bucket 0 has failed'))).toHaveLength(2)
  })

  it('lose a bucket whose key somebody deletes, and have it anew', async () => {
    const cluster = new ShardCluster()
    const ended: string[] = []
    const worker = cluster.join('a', { buckets: 2 })
    worker.on('change', ({ kind, bucket, why }) => {
      if (kind === 'ended') ended.push(`${bucket} ${why}`)
    })
    await cluster.advance('5s')
    const [before] = worker.owned
    await cluster.coordinator().delete('banyan/shards/orders/owned/0/')
    await cluster.advance('5s')
    expect(ended).toEqual(['0 taken away'])
    expect(() => before!.check()).toThrow('taken away')
    expect(worker.holds('x') ?? worker.owned).toBeDefined()
    expect(worker.owned).toHaveLength(2)
  })

  it('that are closed while they join leave nothing behind, also nobody who would plan', async () => {
    const cluster = new ShardCluster()
    let answer: () => void = () => undefined
    const held = new Promise<void>((resolve) => (answer = resolve))
    const driver = wrapDriver(cluster.store.connect(), {
      put: async (...given) => {
        await held
        return cluster.store.connect().put(...given)
      },
    })
    const worker = cluster.join('a', {}, cluster.coordinator(driver))
    await cluster.advance('1s')
    const closed = worker.close()
    answer()
    await cluster.runtime.clock.settle(closed)
    await expect(worker.ready).rejects.toThrow('the worker was closed')
    await cluster.advance('5s')
    const { entries } = await cluster.coordinator().list('banyan/')
    expect(entries.map(({ key }) => key)).toEqual(['banyan/shards/orders/map'])
  })
})

describe('a map that is read', () => {
  it('says who has a key, with what that worker tells of itself', async () => {
    const cluster = new ShardCluster()
    const map = openShardMap(cluster.coordinator(), 'orders')
    const owner = map.waitForOwner('x')
    cluster.join('a', { metadata: { address: 'http://a' } })
    cluster.join('b', { metadata: { address: 'http://b' } })
    const first = await cluster.runtime.clock.settle(owner)
    await cluster.advance('5s')
    const { worker, epoch, bucket, metadata, state } = map.ownerOf('x')!
    expect(first).toMatchObject({ worker, bucket })
    expect({ bucket, state, metadata }).toEqual({
      bucket: String(bucketOf('x', 256)),
      state: 'owned',
      metadata: { address: `http://${worker}` },
    })
    expect(cluster.workers.get(worker!)!.holds('x')).toMatchObject({ epoch, held: true })
    await map.close()
  })

  it('keeps nobody waiting whose coordinator is closed', async () => {
    const cluster = new ShardCluster()
    const coordinator = cluster.coordinator()
    const map = openShardMap(coordinator, 'orders')
    await map.ready
    const refused = expect(map.waitForOwner('x')).rejects.toMatchObject({ code: 'BANYAN_COORDINATOR_CLOSED' })
    await cluster.runtime.clock.settle(coordinator.close())
    await cluster.runtime.clock.settle(refused)
  })
})
