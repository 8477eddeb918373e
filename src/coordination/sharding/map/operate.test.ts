import { describe, expect, it } from 'vitest'
import { ShardCluster } from '../../../../test/support/shards.js'
import {
  drainWorker,
  joinShards,
  mergeShard,
  moveShard,
  openShardMap,
  pauseShards,
  planShards,
  readShards,
  removeShards,
  resumeShards,
  splitShard,
  unpinShard,
  type Coordinator,
} from '../../index.js'

async function running(names = ['a', 'b'], buckets = 8): Promise<[ShardCluster, Coordinator]> {
  const cluster = new ShardCluster()
  for (const name of names) cluster.join(name, { buckets })
  await cluster.advance('5s')
  return [cluster, cluster.coordinator()]
}

const bucketsOf = (cluster: ShardCluster, worker: string): string[] =>
  cluster.workers.get(worker)!.owned.map(({ bucket }) => bucket)

describe('an operator of a shard map', () => {
  it('reads who has what, and what has happened', async () => {
    const [cluster, operator] = await running()
    const [map] = await readShards(operator)
    expect(map).toMatchObject({
      name: 'orders',
      buckets: 8,
      unowned: 0,
      splits: [],
      moves: [],
      paused: undefined,
      planner: 'a',
      workers: [
        { worker: 'a', buckets: 4, planned: 4, weight: 1, draining: false, load: undefined, releasing: {} },
        { worker: 'b', buckets: 4, planned: 4 },
      ],
    })
    for (const { bucket, worker, epoch, target } of map!.owners) {
      expect(worker).toBe(target)
      expect(cluster.workers.get(worker!)!.owned).toContainEqual(expect.objectContaining({ bucket, epoch }))
    }
    expect(map!.history).toMatchObject([{ by: 'a', what: 'moved', counts: { new: 8 } }])
    expect(JSON.parse(JSON.stringify(map))).toBeTruthy()
    await expect(readShards(operator, 'other')).rejects.toMatchObject({ code: 'BANYAN_SHARD_MAP_UNKNOWN' })
  })

  it('is told what a bucket has become that was split or merged, also before that is planned', async () => {
    const [cluster, operator] = await running()
    await splitShard(operator, 'orders', '0')
    await expect(moveShard(operator, 'orders', '0', 'b')).rejects.toMatchObject({
      code: 'BANYAN_BUCKET_UNKNOWN',
      message: 'the shard map "orders" has no bucket "0"; it is split: 0/0, 0/1',
    })
    await moveShard(operator, 'orders', '0/1', 'b')
    await cluster.advance('5s')
    expect(bucketsOf(cluster, 'b')).toContain('0/1')
    await mergeShard(operator, 'orders', '0')
    await expect(splitShard(operator, 'orders', '0/0')).rejects.toMatchObject({
      code: 'BANYAN_BUCKET_UNKNOWN',
    })
  })

  it('moves a bucket, which stays there until it is unpinned', async () => {
    const [cluster, operator] = await running()
    const [moved] = bucketsOf(cluster, 'a')
    await moveShard(operator, 'orders', moved!, 'b', { by: 'ops' })
    await cluster.advance('5s')
    expect(bucketsOf(cluster, 'b')).toContain(moved)
    expect(cluster.counts()).toEqual({ a: 4, b: 4 })
    const picture = await readShards(operator, 'orders')
    expect(picture.owners[Number(moved)]).toMatchObject({ worker: 'b', pinned: { to: 'b', by: 'ops' } })
    expect(picture.history).toContainEqual(
      expect.objectContaining({
        by: 'ops',
        what: 'pinned',
        buckets: [{ bucket: moved, from: 'a', to: 'b' }],
      }),
    )
    await cluster.runtime.clock.settle(cluster.workers.get('b')!.close())
    await cluster.advance('5s')
    expect(bucketsOf(cluster, 'a')).toHaveLength(8)
    cluster.join('b')
    await cluster.advance('5s')
    expect(bucketsOf(cluster, 'b')).toContain(moved)
    await unpinShard(operator, 'orders', moved!)
    expect((await readShards(operator, 'orders')).owners[Number(moved)]!.pinned).toBeUndefined()
  })

  it('cannot move to who is not there, nor what is not, nor what moves already', async () => {
    const cluster = new ShardCluster()
    for (const name of ['a', 'b', 'c']) cluster.join(name, { buckets: 6, own: cluster.work(10_000) })
    await cluster.advance('5s')
    const operator = cluster.coordinator()
    const [bucket] = bucketsOf(cluster, 'a')
    await expect(moveShard(operator, 'orders', bucket!, 'z')).rejects.toMatchObject({
      code: 'BANYAN_WORKER_UNKNOWN',
      message: 'no worker "z" takes part in "orders"; who does: a, b, c',
    })
    await expect(moveShard(operator, 'orders', '6', 'b')).rejects.toMatchObject({
      code: 'BANYAN_BUCKET_UNKNOWN',
    })
    await expect(moveShard(operator, 'other', '1', 'b')).rejects.toMatchObject({
      code: 'BANYAN_SHARD_MAP_UNKNOWN',
    })
    await moveShard(operator, 'orders', bucket!, 'b')
    await cluster.advance('1s')
    await expect(moveShard(operator, 'orders', bucket!, 'c')).rejects.toMatchObject({
      code: 'BANYAN_SHARD_MOVING',
    })
    await expect(splitShard(operator, 'orders', bucket!)).rejects.toMatchObject({
      code: 'BANYAN_SHARD_MOVING',
    })
    expect((await readShards(operator, 'orders')).moves).toMatchObject([
      { bucket, from: 'a', to: 'b', why: 'pinned' },
    ])
    await moveShard(operator, 'orders', bucket!, 'c', { replace: true })
    await cluster.advance('30s')
    expect(bucketsOf(cluster, 'c')).toContain(bucket)
  })

  it('splits a bucket: its owner has both halves, with higher epochs, and then they move on their own', async () => {
    const [cluster, operator] = await running()
    const map = openShardMap(cluster.coordinator(), 'orders')
    await cluster.advance('1s')
    const keys = Array.from({ length: 200 }, (_, index) => `key-${index}`)
    const [split] = bucketsOf(cluster, 'a')
    const inside = keys.filter((key) => map.ownerOf(key)!.bucket === split)
    const { epoch } = map.ownerOf(inside[0]!)!
    await splitShard(operator, 'orders', split!)
    await cluster.advance('1s')
    const halves = new Set(inside.map((key) => map.ownerOf(key)!.bucket))
    expect([...halves].sort()).toEqual([`${split}/0`, `${split}/1`])
    for (const key of inside) {
      const owner = map.ownerOf(key)!
      expect(owner.epoch).toBeGreaterThan(epoch!)
      expect(cluster.workers.get(owner.worker!)!.holds(key)).toMatchObject({ bucket: owner.bucket })
      expect(owner.worker).toBe('a')
    }
    await moveShard(operator, 'orders', `${split}/1`, 'b')
    await cluster.advance('5s')
    expect(bucketsOf(cluster, 'b')).toContain(`${split}/1`)
    expect(bucketsOf(cluster, 'a')).toContain(`${split}/0`)
    await mergeShard(operator, 'orders', split!)
    await cluster.advance('5s')
    expect([...cluster.owners().keys()].sort()).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
    await expect(mergeShard(operator, 'orders', split!)).rejects.toMatchObject({
      code: 'BANYAN_BUCKET_UNKNOWN',
    })
    await map.close()
  })

  it('keeps a split bucket working until its halves are had', async () => {
    const cluster = new ShardCluster()
    const seen: string[] = []
    const worker = cluster.join('a', { buckets: 1, own: cluster.work(300) })
    worker.on('change', ({ kind, bucket }) => seen.push(`${kind} ${bucket}`))
    await cluster.advance('5s')
    await splitShard(cluster.coordinator(), 'orders', '0')
    await cluster.advance('2s')
    expect(seen).toEqual(['owned 0', 'ending 0', 'ended 0', 'owned 0/0', 'owned 0/1'])
  })

  it('pauses moves, and what nobody has is given out all the same', async () => {
    const [cluster, operator] = await running()
    await pauseShards(operator, 'orders', { by: 'ops' })
    cluster.join('c')
    await cluster.advance('10s')
    expect(cluster.counts()).toEqual({ a: 4, b: 4, c: 0 })
    await cluster.runtime.clock.settle(cluster.workers.get('b')!.close())
    await cluster.advance('5s')
    expect(cluster.counts()).toEqual({ a: 4, b: 0, c: 4 })
    expect((await readShards(operator, 'orders')).paused).toMatchObject({ by: 'ops' })
    cluster.join('d')
    await resumeShards(operator, 'orders')
    await cluster.advance('10s')
    expect(Object.values(cluster.counts()).sort()).toEqual([0, 2, 3, 3])
  })

  it('drains a worker, and takes that back', async () => {
    const [cluster, operator] = await running()
    await drainWorker(operator, 'orders', 'a')
    await cluster.advance('10s')
    expect(cluster.counts()).toEqual({ a: 0, b: 8 })
    expect(cluster.workers.get('a')!.state.kind).toBe('draining')
    await expect(moveShard(operator, 'orders', '0', 'a')).rejects.toMatchObject({
      code: 'BANYAN_WORKER_UNKNOWN',
    })
    await drainWorker(operator, 'orders', 'a', { undo: true })
    await cluster.advance('10s')
    expect(cluster.counts()).toEqual({ a: 4, b: 4 })
  })

  it('is told what would move, and nothing moves', async () => {
    const [cluster, operator] = await running(['a', 'b'], 12)
    const before = cluster.owners()
    const { moves, before: shares, after } = await planShards(operator, 'orders', { add: { c: 2 } })
    expect(moves).toHaveLength(6)
    for (const move of moves)
      expect(move).toMatchObject({ to: 'c', why: 'balance', from: before.get(move.bucket) })
    expect(shares.map(({ buckets }) => buckets)).toEqual([6, 6])
    expect(after).toEqual([
      { worker: 'a', weight: 1, buckets: 3, load: 3 },
      { worker: 'b', weight: 1, buckets: 3, load: 3 },
      { worker: 'c', weight: 2, buckets: 6, load: 6 },
    ])
    const gone = await planShards(operator, 'orders', { remove: ['b'] })
    expect(gone.moves).toHaveLength(6)
    expect(gone.moves[0]).toMatchObject({ from: 'b', to: 'a', why: 'gone' })
    expect((await planShards(operator, 'orders')).moves).toEqual([])
    await expect(planShards(operator, 'orders', { remove: ['x'] })).rejects.toMatchObject({
      code: 'BANYAN_WORKER_UNKNOWN',
    })
    await cluster.advance('10s')
    expect(cluster.owners()).toEqual(before)
  })

  it('removes a map that nobody works for', async () => {
    const [cluster, operator] = await running()
    await expect(removeShards(operator, 'orders')).rejects.toMatchObject({ code: 'BANYAN_SHARD_MAP_BUSY' })
    for (const worker of cluster.workers.values()) await cluster.runtime.clock.settle(worker.close())
    await removeShards(operator, 'orders')
    expect(await readShards(operator)).toEqual([])
    expect((await operator.list('')).entries).toEqual([])
    const anew = joinShards(cluster.coordinator(), 'orders', { buckets: 3 })
    await cluster.advance('5s')
    expect(anew.owned).toHaveLength(3)
  })
})

describe('loads of buckets', () => {
  it('are what buckets are shared out by, once workers tell them', async () => {
    const cluster = new ShardCluster()
    const load = (bucket: string): number => (bucket === '0' ? 70 : 10)
    for (const name of ['a', 'b']) cluster.join(name, { buckets: 8, load, reportEvery: '1s' })
    await cluster.advance('30s')
    const rich = cluster.owners().get('0')!
    expect(cluster.counts()[rich]).toBe(1)
    const { workers } = await readShards(cluster.coordinator(), 'orders')
    expect(workers.map((worker) => worker.load)).toEqual([70, 70])
  })

  it('that vary a little move nothing', async () => {
    const cluster = new ShardCluster()
    const load = (): number => 100 + 40 * cluster.runtime.random.next()
    for (const name of ['a', 'b', 'c'])
      cluster.join(name, { buckets: 60, load, reportEvery: '1s', tolerance: 0.1 })
    await cluster.advance('20s')
    const before = cluster.owners()
    await cluster.advance('5m')
    expect(cluster.owners()).toEqual(before)
  })
})
