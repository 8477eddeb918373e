import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ensure } from '../../scripts/engines.mjs'
import { noTelemetry } from '../../src/core/telemetry.js'
import { systemRuntime } from '../../src/core/runtime.js'
import {
  lock,
  openCoordinator,
  type Changes,
  type Coordinator,
  type CoordinatorSpec,
} from '../../src/coordination/index.js'
import { TestAuthority } from '../support/certificates.js'
import { EtcdServer, etcdMissing } from '../support/etcd.js'
import { blockOf } from '../support/example.js'
import { Relay } from '../support/relay.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/etcd.md'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

const runtime = { ...systemRuntime, telemetry: noTelemetry }

async function opened(where: string | CoordinatorSpec): Promise<Coordinator> {
  const coordinator = await openCoordinator(where, { runtime })
  open.push(coordinator)
  return coordinator
}

/** Groups with changes, as they come. */
class Groups {
  readonly #groups: AsyncIterator<Changes>

  constructor(groups: AsyncIterable<Changes>) {
    this.#groups = groups[Symbol.asyncIterator]()
  }

  async next(): Promise<Changes> {
    for (;;) {
      const next = await this.#groups.next()
      if (next.done) throw new Error('the watch has ended')
      if (next.value.changes.length > 0) return next.value
    }
  }
}

const code = (expected: string) => expect.objectContaining({ code: expected }) as unknown

describe.skipIf(etcdMissing())('a coordinator in etcd', () => {
  let server: EtcdServer
  beforeAll(async () => {
    server = await EtcdServer.start()
  })
  afterAll(() => server.stop())

  test('keeps its keys below its prefix, and sees no others', async () => {
    const shop = await opened(`etcd://${server.endpoint}/shop`)
    const other = await opened({ driver: 'etcd', url: `etcd://${server.endpoint}/shop2/` })
    const all = await opened(`etcd://${server.endpoint}`)
    const { revision } = await shop.list('')
    const changes = new Groups(shop.watch('', { after: revision }))
    await other.put('a', 'other')
    await shop.put('a', '1')
    await other.delete('a')
    await shop.delete('a')
    expect(await changes.next()).toMatchObject({
      changes: [{ kind: 'put', entry: { key: 'a', value: '1' } }],
    })
    expect(await changes.next()).toMatchObject({ changes: [{ kind: 'deleted', key: 'a' }] })
    await shop.put('b', 'ü')
    expect((await all.list('')).entries).toMatchObject([{ key: 'shop/b', value: 'ü' }])
    expect(await server.ctl('get', 'shop/b', '--print-value-only')).toBe('ü\n')
  })

  test('a lease is one of etcd, under the id that etcdctl shows', async () => {
    const coordinator = await opened(`etcd://${server.endpoint}/leases`)
    const lease = await coordinator.lease('3s')
    await coordinator.put('a', '1', { lease })
    expect(lease.ttl).toBe(3000)
    expect(await server.ctl('lease', 'timetolive', lease.id, '--keys')).toMatch(
      /granted with TTL\(3s\).*attached keys\(\[leases\/a\]\)/,
    )
    await server.ctl('lease', 'revoke', lease.id)
    expect(await coordinator.get('a')).toBeUndefined()
  })

  test('the example of its page prints what the page says, in line with etcdctl lock', async () => {
    const edit = (code: string) => code.replace('127.0.0.1:2379', server.endpoint)
    expect(await runSnippet(PAGE, { edit })).toBe(blockOf(PAGE, 'text'))

    const coordinator = await opened(`etcd://${server.endpoint}/shop`)
    const held = await lock(coordinator, 'invoices').acquire()
    const after = (await coordinator.list('')).revision
    const changes = new Groups(coordinator.watch('banyan/locks/invoices/', { after }))
    const etcdctl = ['--endpoints', server.endpoint]
    const script = promisify(execFile)(
      ensure('etcdctl'),
      [...etcdctl, 'lock', 'shop/banyan/locks/invoices', 'echo', 'sent'],
      { timeout: 10_000 },
    )
    expect(await changes.next()).toMatchObject({ changes: [{ kind: 'put' }] })
    const behind = lock(coordinator, 'invoices').acquire()
    expect(await changes.next()).toMatchObject({ changes: [{ kind: 'put' }] })
    await held.release()
    expect((await script).stdout).toContain('sent')
    const next = await behind
    expect(next.token).toBeGreaterThan(held.token)
    await next.release()
  })

  test('a lease outlives a connection that has fallen silent', async () => {
    await using relay = await Relay.start(() => server.port)
    const coordinator = await opened(`etcd://127.0.0.1:${relay.port}/silent`)
    const lease = await coordinator.lease('2s')
    const lost = once(lease.signal, 'abort').then(() => 'lost')
    relay.silence()
    // Nobody has told that the connection is dead; a call takes another as soon as the next renewal has no answer.
    const put = (async () => {
      for (;;) {
        try {
          return await coordinator.put('a', '1', { lease })
        } catch (error) {
          if (!lease.held) throw error
        }
      }
    })()
    expect(await Promise.race([put, lost])).toMatchObject({ ok: true })
    expect(lease.held).toBe(true)
  })

  test('what cannot be right is told when it is opened, and no password with it', async () => {
    for (const url of ['etcd://', 'etcd://h:port', 'etcd://a,,b', 'etcd://u:secret/x@h', 'http://h:1'])
      await expect(openCoordinator({ driver: 'etcd', url })).rejects.toThrow(
        expect.objectContaining({
          code: 'BANYAN_INVALID_OPTIONS',
          message: expect.not.stringContaining('secret') as unknown,
        }) as Error,
      )
    const specs: object[] = [
      { url: `etcd://${server.endpoint}`, tls: {} },
      { url: `etcds://${server.endpoint}`, tls: { cert: 'a.pem' } },
      { url: `etcds://${server.endpoint}`, tls: { ca: '/nowhere.pem' } },
      { url: `etcd://${server.endpoint}`, time: '1s' },
    ]
    for (const spec of specs)
      await expect(openCoordinator({ driver: 'etcd', ...spec } as CoordinatorSpec)).rejects.toEqual(
        code('BANYAN_INVALID_OPTIONS'),
      )
    await expect(
      openCoordinator({ driver: 'etcd', url: 'etcd://127.0.0.1:1', timeout: 200 }),
    ).rejects.toEqual(code('BANYAN_COORDINATOR_UNAVAILABLE'))
  })
})

describe.skipIf(etcdMissing())('a coordinator in an etcd of its own', () => {
  test('says that its history is gone when its data is another', async () => {
    await using server = await EtcdServer.start()
    const coordinator = await opened(`etcd://${server.endpoint}`)
    for (let index = 0; index < 10; index++) await coordinator.put('k', `${index}`)
    const { revision } = await coordinator.list('k')
    const changes = new Groups(coordinator.watch('k', { after: revision }))
    const end = expect(changes.next()).rejects.toEqual(code('BANYAN_REVISION_AHEAD'))
    await server.crash()
    rmSync(join(server.directory, 'data'), { recursive: true })
    await server.restart()
    await end
  })

  test('signs in over TLS', async () => {
    const authority = new TestAuthority()
    const files = authority.issue()
    await using server = await EtcdServer.start({ 'cert-file': files.cert, 'key-file': files.key })
    const ctl = (...args: string[]) =>
      server.ctl('--endpoints', `https://localhost:${server.port}`, '--cacert', authority.cert, ...args)
    await ctl('user', 'add', 'root:secret')
    await ctl('role', 'add', 'shop')
    await ctl('role', 'grant-permission', 'shop', 'readwrite', 'shop/', '--prefix')
    await ctl('user', 'add', 'a@b:p@ss')
    await ctl('user', 'grant-role', 'a@b', 'shop')
    await ctl('auth', 'enable')
    const at = (login: string, path: string): CoordinatorSpec => ({
      driver: 'etcd',
      url: `etcds://${login}localhost:${server.port}/${path}`,
      tls: { ca: authority.cert },
    })
    const coordinator = await opened(at('a%40b:p%40ss@', 'shop'))
    const lease = await coordinator.lease('2s')
    expect(await coordinator.put('a', '1', { lease })).toMatchObject({ ok: true })
    for (const spec of [at('a%40b:p%40ss@', 'other'), at('a%40b:wrong@', 'shop'), at('', 'shop')])
      await expect(opened(spec)).rejects.toEqual(code('BANYAN_COORDINATOR_UNAVAILABLE'))
  })
})

describe.skipIf(etcdMissing())('a coordinator in a cluster of etcd', () => {
  test('keeps its lease and misses nothing when the leader is killed', async () => {
    const members = await EtcdServer.cluster(3, { 'heartbeat-interval': '50', 'election-timeout': '500' })
    try {
      const url = `etcd://${members.map(({ endpoint }) => endpoint).join()}/shop`
      const coordinator = await opened({ driver: 'etcd', url, timeout: '1s' })
      const lease = await coordinator.lease('6s')
      const { revision } = await coordinator.list('')
      const changes = new Groups(coordinator.watch('', { after: revision }))
      await coordinator.put('held', '1', { lease })
      const statuses = await Promise.all(members.map((member) => member.ctl('endpoint', 'status')))
      const leader = members[statuses.findIndex((status) => status.split(', ')[4] === 'true')]!
      await leader.crash()
      for (let ok = false; !ok;)
        ok = await coordinator.put('after', '2').then(
          () => true,
          () => false,
        )
      expect(await changes.next()).toMatchObject({ changes: [{ entry: { key: 'held' } }] })
      expect(await changes.next()).toMatchObject({ changes: [{ entry: { key: 'after' } }] })
      expect(lease.held).toBe(true)
      expect((await coordinator.get('held'))?.lease).toBe(lease.id)
    } finally {
      await Promise.all(open.splice(0).map((each) => each[Symbol.asyncDispose]()))
      await Promise.all(members.map((member) => member.stop()))
    }
  })
})
