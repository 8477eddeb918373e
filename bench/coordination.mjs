// @ts-check
/**
 * Leaders, locks and leases beside those who do the same: etcdctl and etcd3 on the same etcd, redlock on Redis. Clients and
 * leaders run in processes of their own, take turns, and share servers with the defaults that these have.
 *
 * PARTS=locks,leases measures only these; there is takeover besides.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { start } from '../scripts/engines.mjs'
import { leases } from './coordination/leases.mjs'
import { locks } from './coordination/locks.mjs'
import { takeover } from './coordination/takeover.mjs'

const PARTS = process.env['PARTS']?.split(',')
/** Nothing has to be on the disk when Redis answers: so it is by default. */
const REDIS = { appendonly: 'no', save: '3600 1 300 100 60 10000' }

/** @returns {Promise<string>} tables in Markdown */
export async function coordination() {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-bench-coordination-'))
  const postgres = await start('postgres')
  const etcd = await start('etcd')
  const redis = await start('redis', REDIS)
  // Of its own, so that it is seen what the leases of each cost a server.
  const other = await start('etcd')
  const places = {
    sqlite: `sqlite:${join(directory, 'coordination')}`,
    postgres: `postgres://postgres@127.0.0.1:${postgres.port}/postgres`,
    etcd: `etcd://127.0.0.1:${etcd.port}`,
    redis: `redis://127.0.0.1:${redis.port}`,
  }
  try {
    const parts = {
      takeover: () => takeover(places),
      locks: () => locks(places),
      leases: () =>
        leases({
          'banyan, memory': { module: 'banyan', where: 'memory:' },
          'banyan, sqlite': { module: 'banyan', where: places.sqlite },
          'banyan, postgres': { module: 'banyan', where: places.postgres, pid: postgres.pid },
          'banyan, etcd': { module: 'banyan', where: places.etcd, pid: etcd.pid },
          'etcd3, etcd': { module: 'etcd3', where: `etcd://127.0.0.1:${other.port}`, pid: other.pid },
        }),
    }
    const sections = ['## Coordination']
    for (const [name, part] of Object.entries(parts))
      if (!PARTS || PARTS.includes(name)) sections.push(...(await part()))
    return sections.join('\n\n')
  } finally {
    await Promise.all([postgres, etcd, redis, other].map((server) => server.stop()))
    rmSync(directory, { recursive: true, force: true })
  }
}
