import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import {
  captureChanges,
  changeOf,
  eventTypes,
  openLog,
  type CaptureOptions,
  type ChangeCapture,
  type EventLog,
  type TableCapture,
} from '../../src/events/index.js'
import { systemRuntime } from '../../src/core/runtime.js'
import { eventsOf, foldTopic, operations, said, tableRows } from '../support/capture.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'

describe.skipIf(postgresMissing())('change data capture', () => {
  const server = PostgresServer.ofSuite({ max_replication_slots: '50', max_wal_senders: '50' })

  /** A database with a table of its own, a log, and a capture of the one into the other. */
  async function scene(sql: string, options: Partial<CaptureOptions> = {}, log?: EventLog): Promise<Scene> {
    const url = await server.database()
    const db = await server.connect(url)
    await db.query(sql)
    const into = log ?? (await openLog('memory:'))
    const given = {
      from: url,
      name: 'legacy',
      log: into,
      tables: { 'public.customers': { topic: 'customer' } },
      ...options,
    }
    const capture = await captureChanges(given)
    return {
      url,
      db,
      log: into,
      capture,
      options: given,
      async [Symbol.asyncDispose]() {
        await capture.remove().catch(() => undefined)
        await db.end()
        await into.close()
      },
    }
  }

  interface Scene extends AsyncDisposable {
    url: string
    db: pg.Client
    log: EventLog
    capture: ChangeCapture
    options: CaptureOptions
  }

  const CUSTOMERS = 'CREATE TABLE customers (id int PRIMARY KEY, name text, n int);'

  test('brings the rows that are there, and then what is done to them, in order', async () => {
    await using scene_ = await scene(`${CUSTOMERS} INSERT INTO customers VALUES (1, 'Ada', 0), (2, 'Bob', 0)`)
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query("INSERT INTO customers VALUES (3, 'Cyd', 0)")
    await db.query('UPDATE customers SET n = 1 WHERE id = 1')
    await db.query('DELETE FROM customers WHERE id = 2')
    await capture.caughtUp()
    expect(await said(log, 'customer')).toEqual([
      'CustomerSnapshotted customer-1',
      'CustomerSnapshotted customer-2',
      'CustomerInserted customer-3',
      'CustomerUpdated customer-1',
      'CustomerDeleted customer-2',
    ])
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
  })

  test('says of each event where it comes from', async () => {
    await using scene_ = await scene(CUSTOMERS)
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query("INSERT INTO customers VALUES (1, 'Ada', 0)")
    const { rows } = await db.query<{ xid: string; committed: Date }>(
      'SELECT xmin::text AS xid, now() AS committed FROM customers',
    )
    await capture.caughtUp()
    const [event] = await eventsOf(log, 'customer')
    expect(event).toMatchObject({ type: 'CustomerInserted', data: { id: 1, name: 'Ada', n: 0 } })
    expect(changeOf(event!)).toEqual({
      source: 'legacy',
      table: 'public.customers',
      operation: 'insert',
      key: { id: 1 },
      lsn: expect.stringMatching(/^[0-9A-F]+\/[0-9A-F]+$/) as string,
      xid: Number(rows[0]!.xid),
      generation: 1,
    })
    expect(event!.commit).toMatch(/^cdc\/legacy\/1\//)
    expect(Math.abs(event!.time - rows[0]!.committed.getTime())).toBeLessThan(5000)
  })

  test('a transaction is one commit; what was rolled back is none, also to a savepoint', async () => {
    await using scene_ = await scene(CUSTOMERS)
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query(
      "BEGIN; INSERT INTO customers VALUES (1, 'a', 0), (2, 'b', 0); UPDATE customers SET n = 7; COMMIT",
    )
    await db.query("BEGIN; INSERT INTO customers VALUES (3, 'c', 0); ROLLBACK")
    await db.query(
      "BEGIN; SAVEPOINT s; INSERT INTO customers VALUES (4, 'd', 0); ROLLBACK TO s; INSERT INTO customers VALUES (5, 'e', 0); COMMIT",
    )
    await capture.caughtUp()
    const events = await eventsOf(log, 'customer')
    expect(
      new Set(events.filter(({ stream }) => stream < 'customer-3').map(({ commit }) => commit)).size,
    ).toBe(1)
    expect([...(await foldTopic(log, 'customer')).keys()]).toEqual(['customer-1', 'customer-2', 'customer-5'])
    expect(await operations(log, 'customer-1')).toEqual(['insert', 'update'])
  })

  test('rows as large as a megabyte are brought a few at a time', async () => {
    await using scene_ = await scene(
      `${CUSTOMERS} INSERT INTO customers SELECT i, repeat(md5(i::text), 32768), 0 FROM generate_series(1, 90) i`,
    )
    const { log, capture } = scene_
    await capture.caughtUp()
    const commits = new Set<string>()
    let rows = 0
    for await (const { commit } of log.read({ category: 'customer' })) {
      commits.add(commit)
      rows++
    }
    expect(rows).toBe(90)
    expect(commits.size).toBeGreaterThan(90 / 5)
  })

  test('a transaction larger than a commit comes in several, whole', async () => {
    await using scene_ = await scene(CUSTOMERS, { batch: 100 })
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query("INSERT INTO customers SELECT i, 'x', 0 FROM generate_series(1, 1050) i")
    await capture.caughtUp()
    const events = await eventsOf(log, 'customer')
    expect(events).toHaveLength(1050)
    expect(new Set(events.map(({ commit }) => commit)).size).toBe(11)
    expect(new Set(events.map((event) => changeOf(event)!.xid)).size).toBe(1)
  })

  test('a row whose key changes leaves one stream and appears in another, with what was not sent', async () => {
    await using scene_ = await scene(
      'CREATE TABLE customers (region text, id int, bio text, n int, PRIMARY KEY (region, id)); ALTER TABLE customers ALTER bio SET STORAGE EXTERNAL',
    )
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query("INSERT INTO customers VALUES ('e,u', 1, repeat('bio', 3000), 0)")
    await db.query("UPDATE customers SET region = 'us', n = 1")
    await capture.caughtUp()
    expect(await said(log, 'customer')).toEqual([
      'CustomerInserted customer-e%2Cu,1',
      'CustomerDeleted customer-e%2Cu,1',
      'CustomerInserted customer-us,1',
    ])
    expect([...(await foldTopic(log, 'customer')).values()]).toEqual([
      { region: 'us', id: 1, bio: 'bio'.repeat(3000), n: 1 },
    ])
  })

  test('large values that an update leaves alone are not told, and folding keeps them', async () => {
    await using scene_ = await scene(
      'CREATE TABLE customers (id int PRIMARY KEY, bio text, n int); ALTER TABLE customers ALTER bio SET STORAGE EXTERNAL',
    )
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query("INSERT INTO customers VALUES (1, repeat('bio', 3000), 0)")
    await db.query('UPDATE customers SET n = 1')
    await capture.caughtUp()
    const event = (await eventsOf(log, 'customer')).at(-1)!
    expect(event.data).toEqual({ id: 1, n: 1 })
    expect(changeOf(event)!.unchanged).toEqual(['bio'])
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    await db.query('ALTER TABLE customers REPLICA IDENTITY FULL')
    await db.query('UPDATE customers SET n = 2')
    await capture.caughtUp()
    expect((await eventsOf(log, 'customer')).at(-1)!.data).toEqual({ id: 1, n: 2, bio: 'bio'.repeat(3000) })
  })

  test('emptying a table deletes each of its rows, and says so in the topic', async () => {
    await using scene_ = await scene(`${CUSTOMERS} INSERT INTO customers VALUES (1, 'Ada', 0), (2, 'Bob', 0)`)
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query(
      "BEGIN; INSERT INTO customers VALUES (3, 'Cyd', 0); TRUNCATE customers; INSERT INTO customers VALUES (1, 'new', 0); COMMIT",
    )
    await capture.caughtUp()
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    expect(await operations(log, 'customer-1')).toEqual(['snapshot', 'delete', 'insert'])
    expect(await operations(log, 'customer-3')).toEqual(['insert', 'delete'])
    expect(await said(log, 'customer')).toContain('CustomerTruncated customer')
  })

  test('a mapping names, drops and turns changes into events of the domain', async () => {
    await using scene_ = await scene(`${CUSTOMERS} INSERT INTO customers VALUES (1, 'Ada', 0)`, {
      tables: {
        customers: {
          topic: 'customer',
          map({ operation, row, before }) {
            if (operation === 'snapshot' || operation === 'insert')
              return { type: 'Registered', data: { name: row['name'] } }
            if (operation === 'delete') return undefined
            return before?.['name'] === row['name']
              ? []
              : [{ type: 'Renamed', data: { to: row['name'] }, tags: ['renamed'] }]
          },
        },
      },
    })
    const { db, log, capture } = scene_
    await db.query('ALTER TABLE customers REPLICA IDENTITY FULL')
    await capture.caughtUp()
    await db.query("UPDATE customers SET name = 'Eve'")
    await db.query('UPDATE customers SET n = 1')
    await db.query('DELETE FROM customers')
    await capture.caughtUp()
    expect((await eventsOf(log, 'customer')).map(({ type, data }) => [type, data])).toEqual([
      ['Registered', { name: 'Ada' }],
      ['Renamed', { to: 'Eve' }],
    ])
  })

  test('values are the same JSON in a snapshot and in a change, and lose nothing', async () => {
    await using scene_ = await scene(
      `CREATE TYPE mood AS ENUM ('sad', 'so so'); CREATE DOMAIN price AS numeric(30, 10); CREATE TYPE pair AS (a int, b text);
       SET timezone = 'America/New_York'; SET bytea_output = 'escape';
       CREATE TABLE customers (id bigint PRIMARY KEY, n numeric, p price, f float8, b bool, d date, t time, ts timestamp,
         tz timestamptz, i interval, bytes bytea, j json, jb jsonb, u uuid, m mood, ms mood[], texts text[], grid int[][],
         r int4range, c pair, nothing text, g int GENERATED ALWAYS AS (1) STORED, "odd name" text);
       CREATE FUNCTION fill(int) RETURNS void LANGUAGE sql AS $$
         INSERT INTO customers VALUES (9007199254740993 + $1, 12345678901234567890.123456789, 0.1, 1e300, true, '2026-01-31',
           '12:30:00.000001', '2026-01-31 12:30:00.123456', '2026-01-31 12:30:00.5+02', '1 day 2 hours', '\\x00ff',
           '{"a": 12345678901234567890, "a2": 1}', '[1.50, "x"]', '6f2d6b2e-57c1-4a4e-8f4c-0d4a1c7e2f11', 'so so',
           '{sad,"so so"}', ARRAY['a,b', NULL, '"', E'\\\\', ''], '{{1,2},{3,NULL}}', '[1,5)', '(1,"x y")', NULL, DEFAULT, 'é') $$;
       SELECT fill(0)`,
    )
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query('SELECT fill(1)')
    await capture.caughtUp()
    const [first, second] = (await eventsOf(log, 'customer')).map(({ data }) => data as object)
    expect(first).toEqual({
      id: '9007199254740993',
      n: '12345678901234567890.123456789',
      p: '0.1000000000',
      f: 1e300,
      b: true,
      d: '2026-01-31',
      t: '12:30:00.000001',
      ts: '2026-01-31T12:30:00.123456',
      tz: '2026-01-31T10:30:00.5Z',
      i: 'P1DT2H',
      bytes: 'AP8=',
      j: { a: '12345678901234567890', a2: 1 },
      jb: [1.5, 'x'],
      u: '6f2d6b2e-57c1-4a4e-8f4c-0d4a1c7e2f11',
      m: 'so so',
      ms: ['sad', 'so so'],
      texts: ['a,b', null, '"', '\\', ''],
      grid: [
        [1, 2],
        [3, null],
      ],
      r: '[1,5)',
      c: '(1,"x y")',
      nothing: null,
      'odd name': 'é',
    })
    expect(second).toEqual({ ...first, id: '9007199254740994' })
  })

  test('a partitioned table is one, also when a row moves from one partition to another', async () => {
    await using scene_ = await scene(
      `CREATE TABLE customers (id int, region text, n int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
       CREATE TABLE customers_eu PARTITION OF customers FOR VALUES IN ('eu');
       CREATE TABLE customers_us PARTITION OF customers FOR VALUES IN ('us');
       INSERT INTO customers VALUES (1, 'eu', 0), (2, 'us', 0)`,
      { tables: { customers: { topic: 'customer', key: ['region', 'id'] } } },
    )
    const { db, log, capture } = scene_
    await capture.caughtUp()
    await db.query("UPDATE customers SET region = 'us' WHERE id = 1")
    await db.query('UPDATE customers SET n = 1')
    await capture.caughtUp()
    expect(await foldTopic(log, 'customer')).toEqual(
      await tableRows(db, 'customers', 'customer', "id || ',' || region"),
    )
    expect(await operations(log, 'customer-1,eu')).toEqual(['snapshot', 'delete'])
    expect(await operations(log, 'customer-1,us')).toEqual(['insert', 'update'])
  })

  test('columns come and go, types and names change: it goes on', async () => {
    await using scene_ = await scene(`${CUSTOMERS} INSERT INTO customers VALUES (1, 'Ada', 0)`)
    const { db, log, capture, options } = scene_
    await capture.caughtUp()
    await db.query("ALTER TABLE customers ADD mail text DEFAULT 'x'; UPDATE customers SET n = 1")
    await db.query('ALTER TABLE customers DROP n; UPDATE customers SET mail = NULL')
    await db.query("ALTER TABLE customers RENAME name TO title; UPDATE customers SET mail = 'a'")
    await db.query('ALTER TABLE customers ALTER id TYPE bigint')
    await db.query(
      "ALTER TABLE customers RENAME id TO no; ALTER TABLE customers RENAME TO clients; INSERT INTO clients VALUES (2, 'Bob', 'b')",
    )
    await capture.caughtUp()
    const events = await eventsOf(log, 'customer')
    expect(events.slice(1).map(({ data }) => data)).toEqual([
      { id: 1, name: 'Ada', n: 1, mail: 'x' },
      { id: 1, name: 'Ada', mail: null },
      { id: 1, title: 'Ada', mail: 'a' },
      { no: '2', title: 'Bob', mail: 'b' },
    ])
    expect(events.map(({ stream }) => stream)).toEqual([...Array<string>(4).fill('customer-1'), 'customer-2'])
    await capture.close()
    await using again = await captureChanges(options)
    await db.query("INSERT INTO clients VALUES (3, 'Cyd', 'c')")
    await again.caughtUp()
    expect((await said(log, 'customer')).at(-1)).toBe('CustomerInserted customer-3')
    expect(again.status().generation).toBe(1)
  })

  test('a row that cannot be mapped holds up its key alone, until it is mended and retried', async () => {
    let isMended = false
    await using scene_ = await scene(CUSTOMERS, {
      tables: {
        customers: {
          topic: 'customer',
          map({ row, operation }) {
            if (!isMended && row['name'] === 'bad') throw new Error('no name is bad')
            return { type: operation, data: row }
          },
        },
      },
    })
    const { db, log, capture } = scene_
    await db.query("INSERT INTO customers VALUES (1, 'bad', 0), (2, 'good', 0)")
    await db.query("UPDATE customers SET name = 'better', n = n + 1")
    await capture.caughtUp()
    expect([...(await foldTopic(log, 'customer')).keys()]).toEqual(['customer-2'])
    expect(capture.status()).toMatchObject({ parked: 2, waitingStreams: 1 })
    const parked = []
    for await (const row of capture.parked()) parked.push([row.stream, row.change.operation, row.error])
    expect(parked).toEqual([
      ['customer-1', 'insert', 'map has failed: no name is bad'],
      ['customer-1', 'update', 'waits behind a parked row'],
    ])
    expect(await capture.retryParked()).toEqual({ released: 0, parked: 2 })
    isMended = true
    expect(await capture.retryParked()).toEqual({ released: 2, parked: 0 })
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    await db.query('UPDATE customers SET n = 9 WHERE id = 1')
    await capture.caughtUp()
    expect(await operations(log, 'customer-1')).toEqual(['insert', 'update', 'update'])
  })

  test('a new snapshot, or TRUNCATE, supersedes what is parked of its tables', async () => {
    const bad = { topic: 'customer', map: () => ({}) as never }
    const log = await openLog('memory:')
    await using scene_ = await scene(
      `${CUSTOMERS} CREATE TABLE others (id int PRIMARY KEY); INSERT INTO others VALUES (1);
       INSERT INTO customers VALUES (1, 'Ada', 0), (2, 'Bob', 0)`,
      { tables: { customers: { topic: 'customer' } } },
      log,
    )
    const { db, capture, options } = scene_
    await capture.caughtUp()
    await capture.close()
    const lines: string[] = []
    const telemetry = { ...systemRuntime.telemetry, log: (_: string, line: string) => void lines.push(line) }
    const broken = { ...options, tables: { customers: bad }, runtime: { ...systemRuntime, telemetry } }
    await using second = await captureChanges(broken)
    await db.query(
      "UPDATE customers SET n = 1; DELETE FROM customers WHERE id = 1; INSERT INTO customers VALUES (3, 'Cyd', 3)",
    )
    await second.caughtUp()
    expect(second.status()).toMatchObject({ parked: 4, waitingStreams: 3 })
    await second.resnapshot()
    expect(second.status()).toMatchObject({ generation: 2, parked: 3, waitingStreams: 3 })
    expect(lines.join('\n')).toContain(
      '4 parked rows of public.customers are discarded, as a new snapshot supersedes them: customer-1, customer-2, customer-3',
    )
    await db.query('TRUNCATE customers')
    await second.caughtUp()
    expect(lines.join('\n')).toContain(
      '3 parked rows of public.customers are discarded, as TRUNCATE supersedes them',
    )
    expect(second.status()).toMatchObject({ parked: 2 })
    await second.close()
    await using third = await captureChanges(options)
    await third.caughtUp()
    expect(third.status()).toMatchObject({ parked: 2 })
    await db.query("INSERT INTO customers VALUES (2, 'Bob again', 0), (4, 'Dan', 0)")
    await third.resnapshot()
    expect(third.status()).toMatchObject({ parked: 0, waitingStreams: 0 })
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    await db.query('TRUNCATE customers')
    await third.caughtUp()
    expect((await foldTopic(log, 'customer')).size).toBe(0)
    expect(third.status()).toMatchObject({ parked: 0 })
  })

  test('parked rows are discarded by their id or key, and what has waited goes on', async () => {
    const log = await openLog('memory:')
    const map: TableCapture['map'] = ({ row, operation }) => {
      if (row['name'] === 'bad') throw new Error('no name is bad')
      return { type: operation, data: row }
    }
    await using scene_ = await scene(CUSTOMERS, { tables: { customers: { topic: 'customer', map } } }, log)
    const { db, capture, options } = scene_
    await db.query("INSERT INTO customers VALUES (1, 'bad', 0), (2, 'bad', 0), (3, 'bad', 0)")
    await db.query(
      "UPDATE customers SET name = 'better' WHERE id = 1; UPDATE customers SET n = 1 WHERE id = 2",
    )
    await capture.caughtUp()
    const ids: string[] = []
    for await (const { id } of capture.parked()) ids.push(id)
    expect(ids).toEqual(['0', '1', '2', '3', '4'])
    expect(await capture.discardParked({ id: '0' })).toEqual({ discarded: 1, released: 1, parked: 3 })
    expect(await foldTopic(log, 'customer')).toEqual(
      new Map([['customer-1', { id: 1, name: 'better', n: 0 }]]),
    )
    expect(await capture.discardParked({ id: '0' })).toEqual({ discarded: 0, released: 0, parked: 3 })
    expect(await capture.discardParked({ table: 'customers', key: { id: '2' } })).toEqual({
      discarded: 2,
      released: 0,
      parked: 1,
    })
    await db.query("UPDATE customers SET name = 'better' WHERE id > 1")
    await capture.caughtUp()
    expect(capture.status()).toMatchObject({ parked: 2, waitingStreams: 1 })
    expect(await operations(log, 'customer-2')).toEqual(['update'])
    await capture.close()
    await using again = await captureChanges(options)
    await again.caughtUp()
    expect(again.status()).toMatchObject({ parked: 2 })
    expect(await again.discardParked({ id: '2' })).toEqual({ discarded: 1, released: 1, parked: 0 })
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    for (const wrong of [
      {},
      { id: '1', table: 'customers' },
      { table: 'customers' },
      { id: 1 },
      { ids: '1' },
    ])
      await expect(again.discardParked(wrong as never)).rejects.toMatchObject({
        code: 'BANYAN_INVALID_OPTIONS',
      })
  })

  test('what is counted as parked can be seen and retried, also when it is too much', async () => {
    let isMended = false
    const map: TableCapture['map'] = ({ row, operation }) => {
      if (!isMended && row['name'] === 'bad') throw new Error('no name is bad')
      return { type: operation, data: row }
    }
    const tables = { customers: { topic: 'customer', map } }
    await using scene_ = await scene(CUSTOMERS, { tables, maxParked: 2, maxLag: 1 })
    const { db, capture } = scene_
    await capture.caughtUp()
    await db.query("INSERT INTO customers SELECT i, 'bad', 0 FROM generate_series(1, 5) i")
    await expect.poll(() => capture.status().error?.code).toBe('BANYAN_TOO_MANY_PARKED')
    await expect
      .poll(() => capture.status().errors.map(({ code }) => code))
      .toEqual(['BANYAN_TOO_MANY_PARKED', 'BANYAN_CAPTURE_LAGS'])
    const seen: string[] = []
    for await (const { stream } of capture.parked()) seen.push(stream)
    expect(seen).toEqual(['customer-1', 'customer-2'])
    expect(capture.status().parked).toBe(2)
    isMended = true
    expect(await capture.retryParked()).toEqual({ released: 2, parked: 0 })
    await capture.caughtUp()
    expect(await operations(scene_.log, 'customer-5')).toEqual(['insert'])
  })

  test('an event of a mapping that says what it cannot is parked, and why', async () => {
    const map = ({ operation }: { operation: string }) => ({ type: operation, dat: 1 }) as never
    const tables = { customers: { topic: 'customer', map } }
    await using scene_ = await scene(`${CUSTOMERS} INSERT INTO customers VALUES (1, 'Ada', 0)`, { tables })
    await scene_.capture.caughtUp()
    for await (const { error } of scene_.capture.parked())
      expect(error).toBe('map has failed: an event has no dat; did you mean data?')
    expect(scene_.capture.status().parked).toBe(1)
  })

  test('what the log does not take is parked, too, and is known after a restart', async () => {
    const strict = eventTypes(
      { CustomerInserted: { type: 'object', properties: { n: { type: 'integer', maximum: 9 } } } },
      { unknown: 'allow' },
    )
    const log = await openLog('memory:', { transforms: [strict] })
    await using scene_ = await scene(CUSTOMERS, {}, log)
    const { db, capture, options } = scene_
    await capture.caughtUp()
    await db.query(
      "INSERT INTO customers SELECT i, 'x', i FROM generate_series(8, 11) i; UPDATE customers SET n = 5",
    )
    await capture.caughtUp()
    expect(await said(log, 'customer')).toEqual([
      'CustomerInserted customer-8',
      'CustomerUpdated customer-8',
      'CustomerInserted customer-9',
      'CustomerUpdated customer-9',
    ])
    await capture.close()
    await using again = await captureChanges(options)
    await db.query("INSERT INTO customers VALUES (12, 'y', 1); DELETE FROM customers WHERE id = 10")
    await again.caughtUp()
    expect(again.status()).toMatchObject({ parked: 5, waitingStreams: 2 })
    expect(await operations(log, 'customer-12')).toEqual(['insert'])
  })

  test('what is parked waits for its topic, whatever the table is called by then', async () => {
    const log = await openLog('memory:')
    const bad = { topic: 'customer', map: () => ({}) as never }
    await using scene_ = await scene(
      `${CUSTOMERS} INSERT INTO customers VALUES (1, 'Ada', 0)`,
      { tables: { customers: bad } },
      log,
    )
    const { db, capture, options } = scene_
    await capture.caughtUp()
    expect(capture.status()).toMatchObject({ parked: 1, waitingStreams: 1 })
    await capture.close()
    await db.query('ALTER TABLE customers RENAME TO clients; DELETE FROM clients')
    await using again = await captureChanges({ ...options, tables: { clients: { topic: 'customer' } } })
    await again.caughtUp()
    expect(again.status()).toMatchObject({ generation: 1, parked: 2 })
    expect(await again.retryParked()).toEqual({ released: 2, parked: 0 })
    expect(await operations(log, 'customer-1')).toEqual(['snapshot', 'delete'])
  })

  test('a new snapshot brings everything, and deletes what the table has no more', async () => {
    await using scene_ = await scene(
      `${CUSTOMERS} INSERT INTO customers SELECT i, 'x', 0 FROM generate_series(1, 20) i`,
    )
    const { db, log, capture, options, url } = scene_
    await capture.caughtUp()
    await capture.close()
    await server.query("SELECT pg_drop_replication_slot('banyan_legacy')", [], url)
    await db.query(
      'DELETE FROM customers WHERE id > 15; UPDATE customers SET n = 1; INSERT INTO customers VALUES (99, NULL, 1)',
    )
    await using lost = await captureChanges(options)
    await expect.poll(() => lost.status().state).toBe('needs-snapshot')
    expect(lost.status().error?.message).toMatch(
      /somebody has dropped the replication slot\. Take a new snapshot/,
    )
    await lost.resnapshot()
    await lost.caughtUp()
    expect(lost.status()).toMatchObject({ state: 'streaming', generation: 2, error: undefined })
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    await db.query('DELETE FROM customers WHERE id = 99')
    await lost.resnapshot()
    await lost.caughtUp()
    expect(await operations(log, 'customer-99')).toEqual(['snapshot', 'delete'])
    expect(await operations(log, 'customer-20')).toEqual(['snapshot', 'delete'])
  })

  test('takes a new snapshot by itself if it was told to: a lost slot, changed columns, a table that comes in', async () => {
    await using scene_ = await scene(`${CUSTOMERS} INSERT INTO customers VALUES (1, 'Ada', 0)`, {
      resnapshotOn: ['slot-lost', 'schema-changed'],
    })
    const { db, log, capture, options, url } = scene_
    await capture.caughtUp()
    await db.query('ALTER TABLE customers RENAME name TO title; INSERT INTO customers VALUES (2, NULL, 0)')
    await expect.poll(() => capture.status().generation).toBe(2)
    await capture.caughtUp()
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    await capture.close()
    await server.query("SELECT pg_drop_replication_slot('banyan_legacy')", [], url)
    await db.query(
      'CREATE TABLE orders (id int PRIMARY KEY); INSERT INTO orders VALUES (1); DELETE FROM customers',
    )
    await using again = await captureChanges({
      ...options,
      tables: { ...options.tables, orders: { topic: 'order' } },
    })
    await again.caughtUp()
    expect(again.status().generation).toBe(3)
    expect((await foldTopic(log, 'customer')).size).toBe(0)
    expect(await said(log, 'order')).toEqual(['OrderSnapshotted order-1'])
  })

  test('a slot that somebody else has used is not gone on with', async () => {
    await using scene_ = await scene(CUSTOMERS)
    const { db, capture, options, url } = scene_
    await capture.caughtUp()
    await capture.close()
    await db.query("INSERT INTO customers VALUES (1, 'a', 0)")
    await server.query(
      "SELECT pg_logical_slot_get_binary_changes('banyan_legacy', NULL, NULL, 'proto_version', '1', 'publication_names', 'banyan_legacy')",
      [],
      url,
    )
    await using again = await captureChanges(options)
    expect(again.status()).toMatchObject({ state: 'needs-snapshot', error: { code: 'BANYAN_SLOT_LOST' } })
  })

  test('another database is not taken for the one that was captured', async () => {
    await using scene_ = await scene(CUSTOMERS)
    await scene_.capture.caughtUp()
    await scene_.capture.close()
    const other = await server.database()
    await server.query(CUSTOMERS, [], other)
    await using again = await captureChanges({ ...scene_.options, from: other })
    expect(again.status()).toMatchObject({
      state: 'needs-snapshot',
      error: { code: 'BANYAN_SOURCE_CHANGED' },
    })
  })

  test('one process works, and the next takes over as soon as it is gone', async () => {
    await using scene_ = await scene(CUSTOMERS)
    const { db, log, capture, options } = scene_
    await capture.caughtUp()
    const second = await captureChanges(options)
    expect(second.status().state).toBe('waiting')
    await db.query("INSERT INTO customers VALUES (1, 'a', 0)")
    await capture.close()
    await second.caughtUp()
    expect(second.status().state).toBe('streaming')
    expect(await said(log, 'customer')).toEqual(['CustomerInserted customer-1'])
    await second.close()
  })

  test('the server may forget what is in the log, also while nothing happens to the tables', async () => {
    await using scene_ = await scene(`${CUSTOMERS} CREATE TABLE other (t text)`)
    const { db, capture } = scene_
    await capture.caughtUp()
    const { rows } = await db.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn')
    await db.query("INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, 1000)")
    await capture.caughtUp()
    await expect
      .poll(
        async () =>
          (
            await db.query<{ ok: boolean }>(
              "SELECT confirmed_flush_lsn > $1::pg_lsn AS ok FROM pg_replication_slots WHERE slot_name = 'banyan_legacy' AND database = current_database()",
              [rows[0]!.lsn],
            )
          ).rows[0]!.ok,
        { timeout: 10_000 },
      )
      .toBe(true)
  })

  test('says so when the server keeps more of its log than it should', async () => {
    await using scene_ = await scene(CUSTOMERS, { maxLag: '64kB' })
    const { db, capture, options } = scene_
    await capture.caughtUp()
    await capture.close()
    await db.query(
      "CREATE TABLE other (t text); INSERT INTO other SELECT repeat('x', 1000) FROM generate_series(1, 1000)",
    )
    await using again = await captureChanges(options)
    expect(again.status().error).toMatchObject({ code: 'BANYAN_CAPTURE_LAGS' })
    expect(again.status().lagBytes).toBeGreaterThan(64 * 1024)
  })

  test('a server that is killed, and one that ends its connections, are come back to', async () => {
    await using own = await PostgresServer.start()
    const url = own.url()
    await own.query(CUSTOMERS)
    const log = await openLog('memory:')
    await using capture = await captureChanges({
      from: url,
      name: 'legacy',
      log,
      tables: { customers: { topic: 'customer' } },
    })
    await own.query("INSERT INTO customers VALUES (1, 'a', 0)")
    await capture.caughtUp()
    await own.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'banyan cdc%'",
    )
    await own.query("INSERT INTO customers VALUES (2, 'b', 0)")
    await capture.caughtUp()
    await own.crash()
    await expect.poll(() => capture.status().state).toBe('retrying')
    expect(capture.status().error?.code).toBe('BANYAN_SOURCE_UNAVAILABLE')
    await own.restart()
    await own.query("INSERT INTO customers VALUES (3, 'c', 0)")
    await capture.caughtUp()
    expect(await said(log, 'customer')).toEqual([1, 2, 3].map((id) => `CustomerInserted customer-${id}`))
    await capture.close()
    await log.close()
  }, 30_000)

  test('removed, it leaves nothing behind at the source, and may begin again', async () => {
    await using scene_ = await scene(`${CUSTOMERS} INSERT INTO customers VALUES (1, 'a', 0)`)
    const { db, log, capture, options } = scene_
    await capture.caughtUp()
    await capture.remove()
    const left = await db.query(
      'SELECT slot_name FROM pg_replication_slots WHERE database = current_database() UNION ALL SELECT pubname FROM pg_publication',
    )
    expect(left.rows).toEqual([])
    await db.query('UPDATE customers SET n = 1')
    await using again = await captureChanges(options)
    await again.caughtUp()
    expect(await foldTopic(log, 'customer')).toEqual(await tableRows(db, 'customers', 'customer'))
    expect(again.status().generation).toBe(2)
  })

  describe('refuses what cannot be captured, and says what to do:', () => {
    const attempt = async (sql: string, options: Partial<CaptureOptions> = {}): Promise<string> => {
      const url = await server.database()
      if (sql !== '') await server.query(sql, [], url)
      await using log = await openLog('memory:')
      const given = {
        from: url,
        name: 'legacy',
        log,
        tables: { customers: { topic: 'customer' } },
        ...options,
      }
      const error = await captureChanges(given).then(
        async (capture) => capture.remove().then(() => 'it runs'),
        (error: unknown) => `${(error as { code?: string }).code} ${(error as Error).message}`,
      )
      return error
    }

    test.each([
      ['', /UNPREPARED there is no table public\.customers/],
      ['CREATE TABLE customers (id int)', /no primary key.*REPLICA IDENTITY/],
      [
        'CREATE UNLOGGED TABLE customers (id int PRIMARY KEY)',
        /ALTER TABLE "public"."customers" SET LOGGED;/,
      ],
      ['CREATE VIEW customers AS SELECT 1 AS id', /is no table/],
      [
        'CREATE TABLE customers (id int PRIMARY KEY); ALTER TABLE customers REPLICA IDENTITY NOTHING',
        /NOTHING/,
      ],
    ])('%s', async (sql, message) => {
      expect(await attempt(sql)).toMatch(message)
    })

    test('a key that is not told of deleted rows', async () => {
      const tables = { customers: { topic: 'customer', key: 'name' } }
      expect(await attempt('CREATE TABLE customers (id int PRIMARY KEY, name text)', { tables })).toMatch(
        /REPLICA IDENTITY FULL/,
      )
      const full = 'CREATE TABLE customers (name text NOT NULL); ALTER TABLE customers REPLICA IDENTITY FULL'
      expect(await attempt(full, { tables })).toBe('it runs')
      expect(await attempt(full.replace(' NOT NULL', ''), { tables })).toMatch(/SET NOT NULL/)
    })

    test('a role that may not replicate, or not make the publication', async () => {
      const url = await server.database()
      await server.query(CUSTOMERS, [], url)
      await server.query('CREATE ROLE reader LOGIN; CREATE ROLE replica LOGIN REPLICATION')
      const as = (role: string): Partial<CaptureOptions> => ({ from: url.replace('postgres@', `${role}@`) })
      expect(await attempt('', as('reader'))).toMatch(/UNPREPARED.*ALTER ROLE <role> REPLICATION/)
      expect(await attempt('', as('replica'))).toMatch(/GRANT SELECT ON "public"."customers"/)
      await server.query('GRANT SELECT ON customers TO replica', [], url)
      expect(await attempt('', as('replica'))).toMatch(
        /CREATE PUBLICATION "banyan_legacy" FOR TABLE ONLY "public"."customers"/,
      )
    })

    test('a server that does not log enough', async () => {
      await using own = await PostgresServer.start({ wal_level: 'replica' })
      await own.query(CUSTOMERS)
      expect(await attempt('', { from: own.url() })).toMatch(/ALTER SYSTEM SET wal_level = logical/)
    })

    test('a database that is not there, and options that are missing', async () => {
      const log = await openLog('memory:')
      const tables = { customers: { topic: 'customer' } }
      const from = server.url().replace(/\/[^/]*$/, '/nowhere')
      const refused = captureChanges({ from, name: 'x', log, tables })
      await expect(refused).rejects.toThrow(/database "nowhere" does not exist\. Create it/)
      for (const [missing, options] of Object.entries({
        from: { name: 'x', log, tables },
        name: { from, log, tables, name: undefined },
        log: { from, name: 'x', tables },
        tables: { from, name: 'x', log },
      }))
        await expect(captureChanges(options as never)).rejects.toThrow(`captureChanges: needs ${missing}`)
    })

    test('options that say two things', async () => {
      const customers = { topic: 'customer' }
      expect(await attempt('', { tables: { customers, orders: customers } })).toMatch(
        /INVALID_OPTIONS.*one of its own/,
      )
      expect(await attempt('', { tables: {} })).toMatch(/tables is empty/)
      expect(await attempt('', { name: 'Legacy-1' })).toMatch(/lower case/)
      expect(await attempt('', { from: 'mysql://x/y' })).toMatch(/PostgreSQL/)
    })
  })
})
