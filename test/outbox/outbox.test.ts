import { join } from 'node:path'
import SQLite from 'better-sqlite3'
import pg from 'pg'
import { describe, expect, it, vi } from 'vitest'
import { openOutboxStore } from '../../src/drivers/open-outbox.js'
import {
  eventTypes,
  openLog,
  openOutbox,
  subscribe,
  topic,
  type EventLog,
  type NewEvent,
} from '../../src/events/index.js'
import { eventError } from '../../src/events/errors.js'
import { virtualClock, virtualRuntime } from '../../src/testing/index.js'
import { altered, closeLogs, collect, newDirectory } from '../support/logs.js'
import { postgresMissing, PostgresServer } from '../support/postgres.js'
import { Bench, engines, errorOf } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

describe.each(engines(missing ? undefined : server))('an outbox in $name', (engine) => {
  it('relays what was committed, as a topic would have published it, and nothing else', async () => {
    await using bench = await Bench.open(engine)
    const message = {
      type: 'Taken',
      data: { count: 2 },
      key: '7',
      tags: ['a'],
      metadata: { actor: 'ada' },
      time: 5,
    }
    await bench.enter(1, 'stock', { ...message, id: 'first' })
    await bench.enter(2, 'stock', { type: 'Lost', key: '7' }, 'rollback')
    await bench.enter(3, 'stock', [
      { type: 'Counted' },
      { type: 'Bytes', data: new Uint8Array([1, 0, 2]), schemaVersion: 3 },
    ])
    bench.relay()
    const relayed = await bench.relayed(3)

    const direct = await openLog('memory:')
    await topic(direct, 'stock').publish({ ...message, id: 'first' })
    const [published] = await collect(direct.read())
    expect({ ...relayed[0], recorded: 0 }).toEqual({ ...published, recorded: 0 })
    expect(relayed.slice(1)).toMatchObject([
      { type: 'Counted', stream: 'stock', data: undefined },
      { type: 'Bytes', stream: 'stock', data: new Uint8Array([1, 0, 2]), schemaVersion: 3 },
    ])
    expect(await bench.application.entries()).toEqual([1, 3])
    await bench.until(({ relayed: count, waiting }) => count === 3 && waiting.count === 0)
    await direct.close()
  })

  it('refuses at once what could not be relayed, and writes nothing', async () => {
    const types = eventTypes({ Taken: { type: 'object', required: ['count'] } })
    await using bench = await Bench.open(engine, { types, eventBytes: 1000 })
    const refusals: [message: object, topic: string, code: string][] = [
      [{ type: 'Taken', data: { count: 1 } }, 'stock-1', 'BANYAN_INVALID_OPTIONS'],
      [{ type: 'Taken', data: { count: 1 } }, '$stock', 'BANYAN_INVALID_OPTIONS'],
      [{ type: 'Taken', data: { count: 1 }, key: '' }, 'stock', 'BANYAN_INVALID_OPTIONS'],
      [{ type: 'Taken', data: { count: 1 }, kee: '1' }, 'stock', 'BANYAN_INVALID_OPTIONS'],
      [{ type: 'Taken', data: { count: 1 }, key: 'x'.repeat(600) }, 'stock', 'BANYAN_INVALID_COMMIT'],
      [{ type: 'Taken', data: { count: NaN } }, 'stock', 'BANYAN_INVALID_EVENT'],
      [{ type: 'Taken', data: {} }, 'stock', 'BANYAN_INVALID_EVENT'],
      [{ type: 'Taekn', data: { count: 1 } }, 'stock', 'BANYAN_UNKNOWN_EVENT_TYPE'],
      [{ type: 'Taken', data: { count: 'x'.repeat(1000) } }, 'stock', 'BANYAN_EVENT_TOO_LARGE'],
      [
        { type: 'Taken', data: { count: 1 }, id: 'x'.repeat(250), delay: '1h' },
        'stock',
        'BANYAN_INVALID_COMMIT',
      ],
    ]
    for (const [message, topic, code] of refusals)
      expect(await errorOf(bench.enter(1, topic, message as { type: string }))).toMatchObject({ code })
    expect(await bench.application.entries()).toEqual([])
    expect((await bench.outbox.status()).waiting).toEqual({ count: 0, isComplete: true })
  })

  it('keeps the version that a type had when it was published', async () => {
    const first = { type: 'object', required: ['name'] }
    await using bench = await Bench.open(
      engine,
      { types: eventTypes({ Named: first }) },
      { transforms: [eventTypes({ Named: { 1: first, 2: { type: 'object', required: ['first'] } } })] },
    )
    await bench.enter(1, 'person', { type: 'Named', data: { name: 'Ada' } })
    bench.relay()
    expect(await bench.relayed(1)).toMatchObject([{ schemaVersion: 1, data: { name: 'Ada' } }])
  })

  it('takes an id once for ever, whichever way it comes', async () => {
    await using bench = await Bench.open(engine)
    await topic(bench.log, 'stock').publish({ id: 'a', type: 'Taken', key: '1' })
    await bench.enter(1, 'stock', [
      { id: 'a', type: 'Taken', key: '1' },
      { id: 'b', type: 'Taken', key: '1' },
    ])
    await bench.enter(2, 'stock', { id: 'b', type: 'Taken', key: '1' })
    bench.relay()
    await bench.until(({ relayed }) => relayed === 3)
    // As a database that was restored from a backup does.
    await bench.enter(3, 'stock', [
      { id: 'a', type: 'Taken', key: '1' },
      { id: 'b', type: 'Taken', key: '1' },
      { id: 'c', type: 'Taken', key: '1' },
    ])
    await bench.until(({ relayed }) => relayed === 6)
    expect((await bench.relayed(3)).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    // The id of another message: neither is lost.
    await bench.enter(4, 'stock', { id: 'a', type: 'Returned', key: '2' })
    await bench.until(({ parked }) => parked.length === 1)
    const { parked } = await bench.outbox.status()
    expect(parked).toMatchObject([
      { lane: 'stock-2', id: 'a', reason: expect.stringContaining('BANYAN_COMMIT_OVERLAP') as string },
    ])
  })

  it('parks a message whose id its stream has for another content, and settles a true repetition', async () => {
    await using bench = await Bench.open(engine)
    const first = { id: 'a', type: 'Taken', key: '1', data: { count: 1 }, tags: ['fruit'] }
    const relay = bench.relay()
    await bench.enter(1, 'stock', first)
    await bench.until(({ relayed }) => relayed === 1)
    await bench.enter(2, 'stock', [{ ...first, metadata: { try: 2 } }])
    await bench.until(({ relayed }) => relayed === 2)
    const others = [
      { ...first, data: { count: 2 } },
      { ...first, type: 'Returned' },
      { ...first, tags: [] },
    ]
    for (const [index, other] of others.entries()) {
      await bench.enter(3 + index, 'stock', other)
      await bench.until(({ parked }) => parked.length === 1)
      expect((await bench.outbox.status()).parked).toMatchObject([
        {
          lane: 'stock-1',
          id: 'a',
          reason: expect.stringContaining('another event with the id a') as string,
        },
      ])
      await bench.outbox.discard('a')
    }
    // Twice in what is taken at once, behind one that has come before.
    await relay.close()
    await bench.enter(6, 'stock', [
      first,
      { ...first, id: 'b' },
      { ...first, id: 'b', type: 'Returned' },
      { ...first, id: 'c' },
    ])
    bench.relay()
    await bench.until(({ parked }) => parked.length === 1)
    expect((await bench.outbox.status()).parked).toMatchObject([
      { id: 'b', type: 'Returned', heldBack: { count: 1 } },
    ])
    expect((await bench.relayed(2)).map(({ id, type }) => [id, type])).toEqual([
      ['a', 'Taken'],
      ['b', 'Taken'],
    ])
  })

  it('knows again what the types of the log have completed', async () => {
    await using bench = await Bench.open(engine)
    const log = await openLog('memory:', {
      transforms: [
        { write: (event) => ({ ...event, data: { unit: 'piece', ...(event.data as object) } }) },
        { read: (event) => ({ ...event, type: 'Sold', schemaVersion: 2 }) },
      ],
    })
    bench.relay({}, log)
    const messages = ['a', 'b'].map((id) => ({ id, type: 'Taken', key: '1', data: { count: 1 } }))
    await bench.enter(1, 'stock', messages)
    await bench.relayed(2, log)
    await bench.enter(2, 'stock', [...messages, { ...messages[1]!, id: 'c' }])
    await bench.enter(3, 'stock', { ...messages[0]!, data: { count: 1, unit: 'kg' } })
    await bench.until(({ parked }) => parked.length === 1)
    expect((await bench.relayed(3, log)).map(({ id }) => id)).toEqual(['a', 'b', 'c'])
    await log.close()
  })

  it('publishes later what is to come later, under its id', async () => {
    await using bench = await Bench.open(engine)
    await using later = await subscribe(bench.log, { name: 'later', topic: 'stock', from: 'start' })
    await bench.enter(1, 'stock', [
      { id: 'late', type: 'Taken', key: '1', delay: '500ms', data: { late: true } },
      { id: 'soon', type: 'Taken', key: '1' },
    ])
    bench.relay()
    const order: string[] = []
    for await (const message of later.messages()) {
      order.push(message.event.id)
      await message.ack()
      if (order.length === 2) break
    }
    expect(order).toEqual(['soon', 'late'])
  })

  it('relays rows that SQL has written, and parks those that no log takes', async () => {
    await using bench = await Bench.open(engine)
    await bench.application.sql(
      `INSERT INTO banyan_outbox (topic, key, type, data) VALUES ('stock', '1', 'Taken', '{"count":1}');
       INSERT INTO banyan_outbox (id, topic, key, type) VALUES ('wrong', 'stock-room', NULL, 'Taken');
       INSERT INTO banyan_outbox (topic, key, type) VALUES ('stock', '', 'Taken'), ('stock', NULL, 'Taken');`,
    )
    bench.relay()
    expect(await bench.relayed(2)).toMatchObject([
      { stream: 'stock-1', type: 'Taken', data: { count: 1 } },
      { stream: 'stock', type: 'Taken', data: undefined },
    ])
    await bench.until(({ parked }) => parked.length === 2)
    const { parked } = await bench.outbox.status()
    expect(parked).toMatchObject([
      { lane: '@wrong', topic: 'stock-room', key: undefined, heldBack: { count: 0 } },
      { lane: 'stock-', key: '' },
    ])
    expect(await bench.outbox.discard('wrong')).toBe(true)
    expect(await bench.outbox.discard('wrong')).toBe(false)
    expect(await bench.outbox.status()).toMatchObject({ parked: [{ lane: 'stock-' }], age: 0 })
  })

  it('parks a key whose message the log refuses, and no other; redriven, it goes on in order', async () => {
    await using bench = await Bench.open(engine)
    let isRefused = true
    const log = await openLog('memory:', {
      transforms: [
        {
          write(event) {
            if (isRefused && event.type === 'Odd')
              throw eventError('BANYAN_UNKNOWN_EVENT_TYPE', 'Odd is not known')
            return event
          },
        },
      ],
    })
    const messages = (types: string[], key: string): { type: string; key: string; data: number }[] =>
      types.map((type, data) => ({ type, key, data }))
    await bench.enter(1, 'stock', [
      ...messages(['Even', 'Odd', 'Even'], '1'),
      ...messages(['Even', 'Even'], '2'),
    ])
    const relay = bench.relay({}, log)
    await bench.until(({ parked, waiting }) => parked.length === 1 && waiting.count === 0)
    // What comes later waits as well, also behind those that were parked before.
    await bench.enter(2, 'stock', [...messages(['Even'], '1'), ...messages(['Even'], '3')])
    await bench.until(({ parked, waiting }) => parked[0]?.heldBack.count === 2 && waiting.count === 0)
    expect(relay.status()).toMatchObject({ state: 'running', relayed: 4 })
    expect((await bench.outbox.status()).parked).toMatchObject([
      { lane: 'stock-1', type: 'Odd', reason: 'Odd is not known (BANYAN_UNKNOWN_EVENT_TYPE)' },
    ])
    expect(await bench.outbox.redrive(['stock-9'])).toEqual([])
    expect(await bench.outbox.redrive('all')).toEqual(['stock-1'])
    await bench.until(({ parked, waiting }) => parked[0]?.heldBack.count === 2 && waiting.count === 0)

    isRefused = false
    expect(await bench.outbox.redrive(['stock-1', 'stock-2'])).toEqual(['stock-1'])
    const events = await bench.relayed(7, log)
    expect(events.filter(({ stream }) => stream === 'stock-1').map(({ type, data }) => [type, data])).toEqual(
      [
        ['Even', 0],
        ['Odd', 1],
        ['Even', 2],
        ['Even', 0],
      ],
    )
    expect((await bench.outbox.status()).parked).toEqual([])
    await log.close()
  })

  it('discards the one message that is parked under an id, and says if it is not one', async () => {
    await using bench = await Bench.open(engine)
    await bench.application.sql(
      `INSERT INTO banyan_outbox (topic, key, type, id) VALUES
         ('a', '1', '', 'same'), ('b', '1', '', 'same'), ('b', '1', 'Fine', 'held'), ('c-d', '1', 'Fine', 'odd')`,
    )
    bench.relay()
    await bench.until(({ parked, waiting }) => parked.length === 3 && waiting.count === 0)
    const lanes = async (): Promise<string[]> =>
      (await bench.outbox.status()).parked.map(({ lane, id }) => `${lane} ${id}`)
    expect(await bench.outbox.discard('held')).toBe(false)
    expect(await errorOf(bench.outbox.discard('same'))).toMatchObject({
      code: 'BANYAN_INVALID_SELECTOR',
      message: 'messages of the id same are parked in the lanes a-1, b-1; say of which',
    })
    expect(await bench.outbox.discard('same', 'c-1')).toBe(false)
    expect(await lanes()).toEqual(['a-1 same', 'b-1 same', 'c-d-1 odd'])
    expect(await bench.outbox.discard('same', 'b-1')).toBe(true)
    expect((await bench.relayed(1)).map(({ id }) => id)).toEqual(['held'])
    expect(await lanes()).toEqual(['a-1 same', 'c-d-1 odd'])
    expect(await bench.outbox.discard('odd', 'c-d-1')).toBe(true)
    expect(await bench.outbox.discard('same')).toBe(true)
    expect(await lanes()).toEqual([])
    const wrong = bench.outbox as unknown as Record<
      'redrive' | 'discard',
      (given: unknown) => Promise<unknown>
    >
    for (const given of ['stock-1', [1], undefined])
      expect(await errorOf(wrong.redrive(given))).toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
    expect(await errorOf(wrong.discard(5))).toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
  })

  it('lets every lane go on by the name that is shown', async () => {
    await using bench = await Bench.open(engine)
    await bench.application.sql(
      `INSERT INTO banyan_outbox (topic, key, type, id) VALUES
         ('bad-t', 'x', 'T', 'a'), ('t', '', 'T', 'b'), ('', 'x', 'T', 'c'), ('@t', 'x-y', '', 'd'), ('bad-t', NULL, 'T', 'e')`,
    )
    bench.relay()
    await bench.until(({ parked }) => parked.length === 5)
    const shown = (await bench.outbox.status()).parked.map(({ lane }) => lane)
    expect(shown).toEqual(['bad-t-x', 't-', '-x', '@@t-x-y', '@e'])
    for (const lane of shown) {
      expect(await bench.outbox.redrive([lane])).toEqual([lane])
      await bench.until(({ parked }) => parked.length === 5)
    }
  })

  it('goes on with a key when the message that was refused is discarded', async () => {
    await using bench = await Bench.open(engine)
    await bench.enter(1, 'stock', [
      { type: 'Taken', key: '1', id: 'big', data: 'x'.repeat(2000) },
      { type: 'Taken', key: '1', id: 'small' },
    ])
    const log = await openLog('memory:', { eventBytes: 1000 })
    bench.relay({}, log)
    await bench.until(({ parked }) => parked[0]?.heldBack.count === 1)
    expect(await bench.outbox.discard('big')).toBe(true)
    expect((await bench.relayed(1, log)).map(({ id }) => id)).toEqual(['small'])
    await log.close()
  })

  it('waits for a log that is not there, and parks what fails for no known reason after some tries', async () => {
    await using bench = await Bench.open(engine)
    let calls = 0
    const failing = altered(bench.log, {
      async append(commit) {
        calls++
        if (calls === 1) throw eventError('BANYAN_LOG_FULL', 'no space')
        const result = await bench.log.append(commit)
        // It is there, and nobody knows.
        if (calls === 2) throw eventError('BANYAN_OUTCOME_UNKNOWN', 'the connection was lost')
        if (commit.streams?.[0]?.stream === 'stock-bug')
          throw new TypeError('cannot read properties of undefined')
        return result
      },
    } satisfies Partial<EventLog>)
    await bench.enter(1, 'stock', [
      { type: 'Taken', key: '1', id: 'a' },
      { type: 'Taken', key: '1', id: 'b' },
    ])
    const relay = bench.relay({ attempts: 2 }, failing)
    expect((await bench.relayed(2)).map(({ id }) => id)).toEqual(['a', 'b'])
    await bench.until(({ relayed }) => relayed === 2)
    await bench.enter(2, 'stock', [{ type: 'Taken', key: 'bug', id: 'c' }])
    await bench.enter(3, 'stock', [{ type: 'Taken', key: '1', id: 'd' }])
    await bench.until(({ relayed, parked }) => relayed === 3 && parked.length === 1)
    expect((await bench.outbox.status()).parked[0]).toMatchObject({
      id: 'c',
      reason: 'cannot read properties of undefined',
    })
    expect(relay.status().state).toBe('running')
  })

  it('parks at once what SQL has written that is no message', async () => {
    await using bench = await Bench.open(engine)
    const bytes = engine.name === 'postgres' ? String.raw`'\x01'` : `x'01'`
    await bench.application.sql(
      `INSERT INTO banyan_outbox (topic, type, id, data, bytes, tags) VALUES
         ('t', 'Tagged', 'a', NULL, NULL, '{"a":1}'), ('t', 'Tagged', 'b', NULL, NULL, '"x"'), ('t', 'Both', 'c', '1', ${bytes}, NULL)`,
    )
    const relay = bench.relay({ attempts: 1000 })
    await bench.until(({ parked }) => parked.length === 3)
    expect((await bench.outbox.status()).parked.map(({ reason }) => reason)).toEqual([
      'the tags of Tagged must be a JSON list, got {"a":1} (BANYAN_INVALID_EVENT)',
      expect.anything(),
      'Both has data and bytes, of which an event has one (BANYAN_INVALID_EVENT)',
    ])
    expect(relay.status().error).toBeUndefined()
  })

  it('is closed for those who publish, too', async () => {
    await using bench = await Bench.open(engine)
    await bench.outbox.close()
    expect(await errorOf(bench.enter(1, 'stock', { type: 'Taken' }))).toMatchObject({
      code: 'BANYAN_OUTBOX_CLOSED',
    })
    expect(await bench.application.entries()).toEqual([])
  })

  it('ends a relay whose log is closed while nothing is to be done, and takes nothing that is no log', async () => {
    await using bench = await Bench.open(engine)
    const log = await openLog('memory:')
    const relay = bench.relay({ poll: '20ms' }, log)
    await log.close()
    expect(await errorOf(relay.ended)).toMatchObject({ code: 'BANYAN_LOG_CLOSED' })
    expect(await errorOf(bench.relay({}, log).ended)).toMatchObject({ code: 'BANYAN_LOG_CLOSED' })
    for (const none of [{}, null, undefined])
      expect(() => bench.outbox.relay(none as EventLog)).toThrow('event log')
  })

  it('ends a relay whose log was closed, and loses nothing', async () => {
    await using bench = await Bench.open(engine)
    const closed = await openLog('memory:')
    await closed.close()
    await bench.enter(1, 'stock', { type: 'Taken' })
    const relay = bench.relay({}, closed)
    expect(await errorOf(relay.ended)).toMatchObject({ code: 'BANYAN_LOG_CLOSED' })
    expect(relay.status()).toMatchObject({ state: 'closed', relayed: 0 })
    bench.relay()
    expect(await bench.relayed(1)).toHaveLength(1)
  })

  it('lets any number of relays run, of which one works, and another goes on when that ends', async () => {
    await using bench = await Bench.open(engine)
    const relays = [bench.relay({ poll: '20ms' }), (await bench.another()).relay(bench.log, { poll: '20ms' })]
    relays.push((await bench.another()).relay(bench.log, { poll: '20ms' }))
    let number = 0
    const enter = async (count: number): Promise<void> => {
      for (let each = 0; each < count; each++, number++)
        await bench.enter(number, 'stock', { type: 'Taken', key: `${number % 5}`, data: number })
    }
    await enter(100)
    await bench.relayed(100)
    // They take turns: whoever has just begun does not say yet that it works.
    const worker = await vi.waitUntil(() => relays.find((relay) => relay.status().state === 'running'))
    await worker.close()
    await enter(100)
    const events = await bench.relayed(200)
    expect(events).toHaveLength(200)
    for (const stream of ['stock-0', 'stock-1', 'stock-2', 'stock-3', 'stock-4']) {
      const numbers = events.filter((event) => event.stream === stream).map(({ data }) => data as number)
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b))
    }
  })

  it('is opened by many at once, and says what it is opened with wrongly', async () => {
    const application = await engine.application()
    const outboxes = await Promise.all(Array.from({ length: 6 }, () => openOutbox(application.url)))
    await Promise.all(outboxes.map((outbox) => outbox.close()))
    expect(await errorOf(outboxes[0]!.status())).toMatchObject({ code: 'BANYAN_OUTBOX_CLOSED' })
    await application.close()
  })

  it('tells how long the oldest message has been waiting, also when a clock was set back', async () => {
    const runtime = virtualRuntime()
    await using bench = await Bench.open(engine, { runtime })
    await bench.enter(1, 'stock', [{ type: 'Taken' }, { type: 'Taken' }])
    await runtime.clock.advance(5000)
    expect(await bench.outbox.status({ count: 1 })).toMatchObject({
      age: 5000,
      waiting: { count: 1, isComplete: false },
    })
    const past = { ...runtime, clock: virtualClock({ wall: 0 }) }
    expect(await (await bench.another({ runtime: past })).status()).toMatchObject({
      age: 0,
      waiting: { count: 2 },
    })
  })

  it('is told of messages by a hint, so that it need not look often', async () => {
    await using bench = await Bench.open(engine)
    const store = await openOutboxStore(bench.application.url)
    const source = store.source()
    const { signal } = new AbortController()
    // Where hints are heard from now on is a hint itself, if the engine tells.
    if (engine.name === 'postgres') await source.changed(3_600_000, signal)
    const changed = source.changed(3_600_000, signal)
    await bench.enter(1, 'stock', { type: 'Taken' })
    await changed
    await source.close()
    await store.close()
  })
})

it.skipIf(missing)('needs a client with a transaction open', async () => {
  const url = await server.database()
  await using outbox = await openOutbox(url)
  const client = await server.connect(url)
  const pool = new pg.Pool({ connectionString: url })
  const message = { type: 'Taken' }
  for (const [given, said] of [
    [client, 'has no transaction open'],
    [pool, 'was given a pool'],
    [{}, 'needs a client'],
    [() => undefined, 'gives nothing'],
    [undefined, 'needs a client'],
  ] as const) {
    const publishing = async (): Promise<unknown> =>
      outbox.publish(given as unknown as pg.Client, 'stock', message)
    const error = await errorOf(publishing())
    expect(error.code).toBe('BANYAN_INVALID_OPTIONS')
    expect(error.message).toContain(said)
  }
  await client.end()
  await pool.end()
  expect((await outbox.status()).waiting.count).toBe(0)
  expect(await errorOf(openOutbox({} as unknown as string))).toMatchObject({ code: 'BANYAN_DRIVER_MISSING' })
  for (const url of ['memory:', 'mysql://a:secret@x/y', 'app.db', 'sqlite::memory:']) {
    const { code, message } = await errorOf(openOutbox(url))
    expect([code, message]).toEqual([
      'BANYAN_DRIVER_MISSING',
      expect.stringContaining('an outbox is opened with'),
    ])
    expect(message).not.toContain('secret')
  }
})

it('needs a database with a transaction open, and checks that answer at once', async () => {
  const directory = newDirectory()
  const database = new SQLite(join(directory, 'app.db'))
  const asynchronous = { write: (event: NewEvent) => Promise.resolve(event) }
  await using outbox = await openOutbox(database, { types: asynchronous })
  await using plain = await openOutbox(database)
  expect(() => plain.publish(database, 'stock', { type: 'Taken' })).toThrow('has no transaction open')
  database.exec('BEGIN')
  expect(() => outbox.publish(database, 'stock', { type: 'Taken' })).toThrow('answers at once')
  expect(
    plain.publish(database, 'stock', [
      { type: 'Taken', id: 'a' },
      { type: 'Taken', id: 'b' },
    ]),
  ).toEqual(['a', 'b'])
  database.exec('COMMIT')
  expect((await plain.status()).waiting.count).toBe(2)
  database.close()
  expect(await errorOf(openOutbox(new SQLite(':memory:')))).toMatchObject({
    code: 'BANYAN_OUTBOX_UNAVAILABLE',
  })
  await closeLogs()
})

it.skipIf(missing)('outlives a crash of PostgreSQL', async () => {
  await using own = await PostgresServer.start()
  const [engine] = engines(own).filter(({ name }) => name === 'postgres')
  await using bench = await Bench.open(engine!)
  const relay = bench.relay()
  await bench.enter(1, 'stock', { type: 'Taken', id: 'a' })
  await bench.relayed(1)
  await own.crash()
  while (relay.status().state !== 'retrying') await new Promise((resolve) => setImmediate(resolve))
  await own.restart()
  const client = await own.connect(bench.application.url)
  await client.query('BEGIN')
  await bench.outbox.publish(client, 'stock', { type: 'Taken', id: 'b' })
  await client.query('COMMIT')
  await client.end()
  expect((await bench.relayed(2)).map(({ id }) => id)).toEqual(['a', 'b'])
  await bench.until(({ waiting }) => waiting.count === 0)
})

it('is opened in a file that its application has locked for the moment', async () => {
  const file = join(newDirectory(), 'app.db')
  // What it takes is loaded then.
  await (await openOutbox(`sqlite:${file}.other`)).close()
  const application = new SQLite(file)
  application.exec('BEGIN EXCLUSIVE; CREATE TABLE orders (id)')
  const opening = openOutbox(`sqlite:${file}`)
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve))
  application.exec('COMMIT')
  application.close()
  await using outbox = await opening
  expect(await outbox.status()).toMatchObject({ waiting: { count: 0 } })
})
