import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventError } from '../../src/events/errors.js'
import { captureChanges, openLog, type ChangeCapture, type EventLog } from '../../src/events/index.js'
import { foldTopic, said, tableRows } from '../support/capture.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'

/** A log whose appends can be held up, or refused. */
async function brokenLog(): Promise<{
  log: EventLog
  broken: { wait: Promise<unknown>; error: Error | undefined }
}> {
  const real = await openLog('memory:')
  const broken: { wait: Promise<unknown>; error: Error | undefined } = {
    wait: Promise.resolve(),
    error: undefined,
  }
  const append: EventLog['append'] = async (commit) => {
    await broken.wait
    if (broken.error) throw broken.error
    return real.append(commit)
  }
  const log = new Proxy(real, {
    get(target, name) {
      if (name === 'append') return append
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return { log, broken }
}

describe.skipIf(postgresMissing())('a capture', () => {
  const server = PostgresServer.ofSuite({ wal_sender_timeout: '3s', max_slot_wal_keep_size: '1MB' })
  let db: pg.Client
  beforeAll(async () => {
    db = await server.connect()
    await db.query('CREATE TABLE customers (id int PRIMARY KEY, name text)')
  })
  afterAll(async () => {
    await db.end()
  })

  const start = (log: EventLog, name: string): Promise<ChangeCapture> =>
    captureChanges({ from: server.url(), name, log, tables: { customers: { topic: 'customer' } } })

  test('keeps its connection while the log is slower than the server waits', async () => {
    const { log, broken } = await brokenLog()
    await using capture = await start(log, 'slow')
    await capture.caughtUp()
    const sender = "SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'banyan_slow'"
    const senders = async (): Promise<{ active_pid: number | null }[]> =>
      (await db.query<{ active_pid: number | null }>(sender)).rows
    // It follows a moment after its snapshot.
    await expect.poll(senders).toEqual([{ active_pid: expect.any(Number) as number }])
    const before = await senders()
    let goOn = (): void => undefined
    broken.wait = new Promise<void>((resolve) => (goOn = resolve))
    await db.query("INSERT INTO customers SELECT i, repeat('x', 5000) FROM generate_series(1, 2000) i")
    // The server itself says when it would have given up.
    await db.query('SELECT pg_sleep(5)')
    expect(capture.status()).toMatchObject({ state: 'streaming', error: undefined })
    expect(capture.status().lagMs).toBeGreaterThan(3000)
    goOn()
    await capture.caughtUp()
    expect(await senders()).toEqual(before)
    expect((await foldTopic(log, 'customer')).size).toBe(2000)
    await db.query('TRUNCATE customers')
    await capture.remove()
  }, 30_000)

  test('goes on by itself when the log could not be used', async () => {
    const { log, broken } = await brokenLog()
    await using capture = await start(log, 'refused')
    await capture.caughtUp()
    broken.error = eventError('BANYAN_LOG_UNAVAILABLE', 'the disk is gone')
    await db.query("INSERT INTO customers VALUES (1, 'Ada')")
    await expect.poll(() => capture.status().error?.code).toBe('BANYAN_LOG_UNAVAILABLE')
    broken.error = undefined
    await capture.caughtUp()
    expect(await said(log, 'customer')).toEqual(['CustomerInserted customer-1'])
    await capture.remove()
  })

  test('whose slot the server has given up says so, and a new snapshot mends it', async () => {
    const log = await openLog('memory:')
    const first = await start(log, 'given_up')
    await first.caughtUp()
    await first.close()
    for (let segment = 0; segment < 4; segment++) {
      await db.query("INSERT INTO customers VALUES (100 + $1, 'b')", [segment])
      await db.query('SELECT pg_switch_wal()')
    }
    await db.query('CHECKPOINT')
    await using capture = await start(log, 'given_up')
    expect(capture.status()).toMatchObject({
      state: 'needs-snapshot',
      error: {
        code: 'BANYAN_SLOT_LOST',
        message: expect.stringContaining('has invalidated the slot') as string,
      },
    })
    await capture.resnapshot()
    await capture.caughtUp()
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    await capture.remove()
  })

  test('notices that its publication was dropped, and what a process that was thought dead appends', async () => {
    const log = await openLog('memory:')
    const first = await start(log, 'dropped')
    await first.caughtUp()
    await first.close()
    await db.query('DROP PUBLICATION banyan_dropped')
    await using capture = await start(log, 'dropped')
    expect(capture.status().error?.message).toContain('the publication banyan_dropped had been dropped')
    await capture.resnapshot()
    await capture.caughtUp()
    // As if another process had moved the capture on: what this one has is old, and it reads anew how far it is.
    const [state] = await stateOf(log)
    await log.append({
      streams: [{ stream: '$cdc-dropped', events: [{ type: 'CaptureMoved', data: state }] }],
    })
    await db.query("INSERT INTO customers VALUES (7, 'late')")
    await capture.caughtUp()
    expect((await said(log, 'customer')).filter((each) => each.endsWith('customer-7'))).toEqual([
      'CustomerInserted customer-7',
    ])
    await capture.remove()
  })
})

test.skipIf(postgresMissing())(
  'a capture goes on after a promotion that lost nothing, and not after a restore that did',
  async () => {
    await using server = await PostgresServer.start({ restore_command: 'false' })
    await server.query('CREATE TABLE customers (id int PRIMARY KEY)')
    const data = join(server.directory, 'data')
    const copy = join(server.directory, 'copy')
    const log = await openLog('memory:')
    const start = (): Promise<ChangeCapture> =>
      captureChanges({ from: server.url(), name: 'moved', log, tables: { customers: { topic: 'customer' } } })
    const first = await start()
    await server.query('INSERT INTO customers VALUES (1)')
    await first.caughtUp()
    await first.close()
    await server.shutDown()
    execFileSync('cp', ['-a', data, copy])
    // It ends with a timeline of its own, as a standby that takes over.
    writeFileSync(join(data, 'recovery.signal'), '')
    await server.restart()
    const recovers = 'SELECT pg_is_in_recovery() AS recovers'
    await expect.poll(() => server.query(recovers), { timeout: 10_000 }).toEqual([{ recovers: false }])
    await server.query('INSERT INTO customers VALUES (2)')
    const second = await start()
    await second.caughtUp()
    expect(second.status()).toMatchObject({ state: 'streaming', generation: 1 })
    expect(await said(log, 'customer')).toEqual([
      'CustomerInserted customer-1',
      'CustomerInserted customer-2',
    ])
    await second.close()
    await server.shutDown()
    execFileSync('rm', [
      '-rf',
      join(data, 'base'),
      join(data, 'pg_wal'),
      join(data, 'global'),
      join(data, 'pg_replslot'),
    ])
    execFileSync('cp', ['-a', `${copy}/.`, data])
    execFileSync('chown', ['-R', `--reference=${data}`, data])
    await server.restart()
    await using third = await start()
    expect(third.status()).toMatchObject({
      state: 'needs-snapshot',
      error: { code: 'BANYAN_SOURCE_CHANGED' },
    })
    expect(third.status().error?.message).toContain('it was restored to an earlier time')
  },
  60_000,
)

async function stateOf(log: EventLog): Promise<unknown[]> {
  for await (const { data } of log.read({ stream: '$cdc-dropped' }, { backwards: true, limit: 1 }))
    return [data]
  return []
}
