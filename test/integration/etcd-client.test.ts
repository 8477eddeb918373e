import { readFileSync } from 'node:fs'
import { createServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { systemRuntime } from '../../src/core/runtime.js'
import { EtcdClient } from '../../src/drivers/etcd/client/client.js'
import { CompactedError, EtcdError } from '../../src/drivers/etcd/client/fault.js'
import { CompareTarget } from '../../src/drivers/etcd/client/messages.js'
import type { EtcdSettings } from '../../src/drivers/etcd/client/settings.js'
import type { Watch, WatchBatch } from '../../src/drivers/etcd/client/watch.js'
import { TestAuthority } from '../support/certificates.js'
import { EtcdServer, etcdMissing } from '../support/etcd.js'

const open: Disposable[] = []
afterEach(() => {
  for (const client of open.splice(0)) client[Symbol.dispose]()
})

function clientOf(servers: EtcdServer | EtcdServer[], settings: Partial<EtcdSettings> = {}): EtcdClient {
  const endpoints = [servers].flat().map(({ endpoint }) => endpoint)
  const client = new EtcdClient({ endpoints, timeout: 5000, ...settings }, systemRuntime)
  open.push(client)
  return client
}

/** Batches of a watch, as they come. */
class Reader {
  readonly #batches: AsyncGenerator<WatchBatch, void>

  constructor(watch: Watch) {
    this.#batches = watch[Symbol.asyncIterator]()
  }

  async next(): Promise<WatchBatch> {
    const { value } = await this.#batches.next()
    if (!value) throw new Error('the watch has ended')
    return value
  }

  /** Values of the next so many events. */
  async values(count: number): Promise<string[]> {
    const values: string[] = []
    while (values.length < count)
      for (const { kv } of (await this.next()).events) values.push(kv!.value.toString())
    return values
  }
}

const errorOf = async (work: Promise<unknown>): Promise<EtcdError> => {
  const error: unknown = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  expect(error).toBeInstanceOf(EtcdError)
  return error as EtcdError
}

describe.skipIf(etcdMissing())('the client of etcd', () => {
  let server: EtcdServer
  let client: EtcdClient
  let prefix = ''
  let count = 0
  beforeAll(async () => {
    server = await EtcdServer.start()
  })
  afterAll(() => server.stop())

  function fresh(): void {
    prefix = `test${count++}/`
    client = clientOf(server)
  }

  const put = async (name: string, value: string): Promise<number> =>
    (await client.put({ key: prefix + name, value })).header!.revision

  test('puts, reads, compares and deletes', async () => {
    fresh()
    const created = await put('a', '1')
    const changed = await put('a', 'ü')
    const { kvs, count: all } = await client.range({ key: prefix, rangeEnd: `${prefix}~` })
    expect(all).toBe(1)
    expect(kvs[0]).toMatchObject({
      createRevision: created,
      modRevision: changed,
      version: 2,
      lease: 0n,
    })
    expect(kvs[0]!.value.toString()).toBe('ü')
    expect((await client.range({ key: `${prefix}a`, revision: created })).kvs[0]!.value.toString()).toBe('1')

    const swap = (seen: number) =>
      client.txn({
        compare: [{ key: `${prefix}a`, target: CompareTarget.mod, modRevision: seen }],
        success: [
          { put: { key: `${prefix}a`, value: '3' } },
          { deleteRange: { key: `${prefix}b`, prevKv: true } },
        ],
        failure: [{ range: { key: `${prefix}a` } }],
      })
    const refused = await swap(created)
    expect(refused.succeeded).toBe(false)
    expect(refused.responses[0]!.range!.kvs[0]!.modRevision).toBe(changed)
    const done = await swap(changed)
    expect(done.succeeded).toBe(true)
    expect(done.responses[1]!.deleteRange!.deleted).toBe(0)
    expect((await client.deleteRange({ key: `${prefix}a`, prevKv: true })).prevKvs[0]!.value.toString()).toBe(
      '3',
    )
  })

  test('a lease is renewed until it is revoked, and takes its keys along', async () => {
    fresh()
    const lease = await client.leaseGrant(1)
    await client.put({ key: `${prefix}a`, value: '', lease: lease.id })
    expect((await client.leaseTimeToLive({ id: lease.id, keys: true })).keys.map(String)).toEqual([
      `${prefix}a`,
    ])
    expect(await Promise.all([1, 2, 3].map(() => client.leaseKeepAlive([lease.id], 1000)))).toEqual(
      Array(3).fill([lease.ttl]),
    )
    expect(await client.leaseKeepAlive([lease.id, 17n], 1000)).toEqual([lease.ttl, 0])
    await client.leaseRevoke(lease.id)
    await client.leaseRevoke(lease.id)
    expect(await client.leaseKeepAlive([lease.id], 1000)).toEqual([0])
    expect((await client.leaseTimeToLive({ id: lease.id })).ttl).toBe(-1)
    expect((await client.range({ key: `${prefix}a` })).count).toBe(0)
  })

  test('a watch tells whole revisions in their order, with what was there before', async () => {
    fresh()
    await put('a', '1')
    const watch = new Reader(client.watch({ key: prefix, rangeEnd: `${prefix}~`, prevKv: true }))
    const { revision } = await watch.next()
    await client.txn({
      success: ['a', 'b', 'c'].map((name) => ({ put: { key: prefix + name, value: '2' } })),
    })
    await client.deleteRange({ key: prefix, rangeEnd: `${prefix}~` })
    const seen: string[][] = []
    while (seen.flat().length < 6) {
      const { events } = await watch.next()
      for (const { type, kv, prevKv } of events)
        (seen[kv!.modRevision - revision - 1] ??= []).push(
          `${type === 0 ? 'put' : 'delete'} ${kv!.key.toString().slice(prefix.length)} after ${prevKv?.value.toString()}`,
        )
    }
    expect(seen).toEqual([
      ['put a after 1', 'put b after undefined', 'put c after undefined'],
      ['delete a after 2', 'delete b after 2', 'delete c after 2'],
    ])
  })

  test('a watch goes on behind what it has told when etcd is killed and comes back', async () => {
    fresh()
    const watch = new Reader(client.watch({ key: prefix, rangeEnd: `${prefix}~` }))
    await watch.next()
    await put('a', '1')
    expect(await watch.values(1)).toEqual(['1'])
    await server.crash()
    await server.restart()
    await put('a', '2')
    await put('a', '3')
    expect(await watch.values(2)).toEqual(['2', '3'])
  })

  test('a watch of what was compacted says where it begins now', async () => {
    fresh()
    const first = await put('a', '1')
    const last = await put('a', '2')
    await client.compact(last)
    const error = await errorOf(new Reader(client.watch({ key: prefix, startRevision: first })).next())
    expect(error).toBeInstanceOf(CompactedError)
    expect(error).toMatchObject({ compactRevision: last })
    expect(await errorOf(client.range({ key: prefix, revision: first }))).toBeInstanceOf(CompactedError)
  })

  test('events beyond the size of a message come whole', async () => {
    fresh()
    const sizes = [1_000_000, 1_200_000, 10, 1_400_000]
    const revisions: number[] = []
    for (const size of sizes) revisions.push(await put('a', 'x'.repeat(size)))
    const watch = new Reader(client.watch({ key: `${prefix}a`, startRevision: revisions[0] }))
    expect((await watch.values(4)).map(({ length }) => length)).toEqual(sizes)
    expect((await client.range({ key: prefix, rangeEnd: `${prefix}~` })).kvs[0]!.value.length).toBe(1_400_000)
  })

  test('whoever reads slowly holds up nobody, and misses nothing', async () => {
    fresh()
    const slow = new Reader(client.watch({ key: prefix, rangeEnd: `${prefix}~` }))
    await slow.next()
    // 100 keys at once: more events than are kept ahead, with few commits.
    const burst = (value: number) =>
      client.txn({
        success: Array.from({ length: 100 }, (_, key) => ({
          put: { key: `${prefix}${key}`, value: String(value) },
        })),
      })
    for (let value = 0; value < 150; value++) await burst(value)
    const quick = new Reader(client.watch({ key: `${prefix}mark` }))
    await quick.next()
    await put('mark', 'here')
    expect(await quick.values(1)).toEqual(['here'])
    const values = await slow.values(15_001)
    expect(values.slice(0, 15_000)).toEqual(
      Array.from({ length: 15_000 }, (_, at) => String(Math.floor(at / 100))),
    )
  })

  test('what is aborted ends with the reason', async () => {
    fresh()
    const reason = new Error('enough')
    await expect(client.range({ key: prefix }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    const abort = new AbortController()
    const watch = new Reader(client.watch({ key: prefix }, abort.signal))
    await watch.next()
    const end = watch.next()
    abort.abort(reason)
    await expect(end).rejects.toThrow('the watch has ended')
  })

  test('says of a failure what came of the call', async () => {
    fresh()
    await put('a', '1')
    expect(await errorOf(client.put({ key: '', value: '' }))).toMatchObject({ fault: 'refused' })
    await server.freeze()
    try {
      expect(await errorOf(client.put({ key: `${prefix}a`, value: '2' }, { timeout: 200 }))).toMatchObject({
        fault: 'unknown',
      })
      // The connection was given up; a new one is not answered.
      expect(await errorOf(client.put({ key: `${prefix}a`, value: '3' }, { timeout: 200 }))).toMatchObject({
        fault: 'unavailable',
      })
      expect(await errorOf(client.range({ key: prefix }, { timeout: 200 }))).toMatchObject({
        fault: 'unavailable',
      })
    } finally {
      server.thaw()
    }
    expect((await client.range({ key: `${prefix}a` })).kvs[0]!.value.toString()).not.toBe('3')
  })

  test('waits for a server that is not there yet', async () => {
    fresh()
    await server.crash()
    const waiting = client.put({ key: `${prefix}a`, value: '1' }, { timeout: 20_000 })
    expect(await errorOf(client.put({ key: `${prefix}a`, value: '1' }, { timeout: 100 }))).toMatchObject({
      fault: 'unavailable',
    })
    await server.restart()
    expect((await waiting).header!.revision).toBeGreaterThan(0)
  })

  test('ends everything when it is closed', async () => {
    fresh()
    const watch = new Reader(client.watch({ key: prefix }))
    await watch.next()
    const end = watch.next()
    const pending = client.put({ key: prefix, value: '' })
    client.close()
    expect(await errorOf(end)).toMatchObject({ fault: 'unavailable' })
    await pending.catch(() => undefined)
    expect(await errorOf(client.put({ key: prefix, value: '' }))).toMatchObject({ fault: 'unavailable' })
  })
})

describe.skipIf(etcdMissing())('the client of a cluster of etcd', () => {
  test('goes on with another member when the one it uses is killed or hangs', async () => {
    const members = await EtcdServer.cluster(3, { 'heartbeat-interval': '50', 'election-timeout': '500' })
    try {
      const client = clientOf(members, { timeout: 10_000 })
      const used = async (): Promise<EtcdServer> => {
        const { header } = await client.status()
        for (const member of members) {
          const alone = clientOf(member, { timeout: 500 })
          const status = await alone.status().catch(() => undefined)
          if (status?.header!.memberId === header!.memberId) return member
        }
        throw new Error('it uses none of them')
      }
      const watch = new Reader(client.watch({ key: 'a' }))
      await watch.next()
      const first = await used()
      await first.crash()
      await client.range({ key: 'a' })
      await client.put({ key: 'a', value: '1' })
      expect(await watch.values(1)).toEqual(['1'])
      await first.restart()

      const second = await used()
      await second.freeze()
      await client.range({ key: 'a' }, { timeout: 5000 })
      await client.put({ key: 'a', value: '2' })
      expect(await watch.values(1)).toEqual(['2'])
      second.thaw()
    } finally {
      await Promise.all(members.map((member) => member.stop()))
    }
  })
})

describe.skipIf(etcdMissing())('the client of a member that has lost the others', () => {
  test('goes to another one, with what it watches', async () => {
    // Only the network can make a real member one; this is what such a member answers.
    const lonely = createServer()
    let asked = 0
    lonely.on('stream', (stream) => {
      asked++
      stream.respond(
        { ':status': 200, 'grpc-status': '14', 'grpc-message': 'etcdserver: no leader' },
        { endStream: true },
      )
    })
    await new Promise<void>((resolve) => lonely.listen(0, '127.0.0.1', resolve))
    await using server = await EtcdServer.start()
    const endpoints = [`127.0.0.1:${(lonely.address() as AddressInfo).port}`, server.endpoint]
    // It begins with the first.
    const first = { ...systemRuntime, random: { next: () => 0 } }
    for (const begin of ['range', 'watch'] as const) {
      using client = new EtcdClient({ endpoints, timeout: 5000 }, first)
      const before = asked
      if (begin === 'range') await client.range({ key: 'a' })
      const watch = new Reader(client.watch({ key: 'a' }))
      await watch.next()
      await client.put({ key: 'a', value: begin })
      expect(await watch.values(1)).toEqual([begin])
      expect(asked).toBe(before + 1)
    }
    lonely.close()
  })
})

describe.skipIf(etcdMissing())('the client of an etcd that trusts nobody', () => {
  test('signs in, and again when its token has become worthless', async () => {
    await using server = await EtcdServer.start()
    await server.ctl('user', 'add', 'root:secret')
    await server.ctl('role', 'add', 'shop')
    await server.ctl('role', 'grant-permission', 'shop', 'readwrite', 'shop/', '--prefix')
    await server.ctl('user', 'add', 'ann:s3cret')
    await server.ctl('user', 'grant-role', 'ann', 'shop')
    await server.ctl('auth', 'enable')

    const client = clientOf(server, { user: { name: 'ann', password: 's3cret' } })
    await client.put({ key: 'shop/a', value: '1' })
    const watch = new Reader(client.watch({ key: 'shop/a' }))
    await watch.next()
    expect(await errorOf(client.put({ key: 'other', value: '1' }))).toMatchObject({ fault: 'refused' })
    const denied = new Reader(client.watch({ key: 'other' }))
    expect(await errorOf(denied.next())).toMatchObject({ fault: 'refused' })

    // It keeps tokens in its memory.
    await server.crash()
    await server.restart()
    await client.put({ key: 'shop/a', value: '2' })
    expect(await watch.values(1)).toEqual(['2'])

    const stranger = clientOf(server, { user: { name: 'ann', password: 'guessed' } })
    expect(await errorOf(stranger.range({ key: 'shop/a' }))).toMatchObject({ fault: 'refused' })
    const nobody = clientOf(server)
    expect(await errorOf(nobody.range({ key: 'shop/a' }))).toMatchObject({ fault: 'refused' })
  })

  test('speaks TLS, with a certificate of its own', async () => {
    const authority = new TestAuthority()
    const files = authority.issue({ names: ['DNS:etcd.example', 'DNS:localhost'] })
    await using server = await EtcdServer.start({
      'cert-file': files.cert,
      'key-file': files.key,
      'trusted-ca-file': authority.cert,
      'client-cert-auth': 'true',
    })
    const own = authority.issue({ names: ['DNS:client'] })
    const tls = { ca: Buffer.from(authority.pem), cert: readFileSync(own.cert), key: readFileSync(own.key) }
    const endpoints = [`localhost:${server.port}`]
    const client = clientOf(server, { endpoints, tls })
    expect((await client.put({ key: 'a', value: '1' })).header!.revision).toBe(2)
    const named = clientOf(server, { endpoints, tls: { ...tls, serverName: 'etcd.example' } })
    expect((await named.range({ key: 'a' })).count).toBe(1)
    const wrong = clientOf(server, {
      endpoints,
      tls: { ...tls, serverName: 'other.example' },
      timeout: 300,
    })
    expect(await errorOf(wrong.range({ key: 'a' }))).toMatchObject({ fault: 'unavailable' })
    const plain = clientOf(server, { timeout: 300 })
    expect(await errorOf(plain.range({ key: 'a' }))).toMatchObject({ fault: 'unavailable' })
  })
})
