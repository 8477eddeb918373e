import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { altered, closeLogs, collect, contents, newLog } from '../../../test/support/logs.js'
import { openLog, type Commit, type EventLog, type EventTransform } from '../index.js'
import { exportEvents, importEvents, readEvents } from './index.js'

afterEach(closeLogs)

const append = async (log: EventLog, ...commits: Commit[]): Promise<void> => {
  for (const commit of commits) expect(await log.append(commit)).toMatchObject({ ok: true })
}
const one = (id: string, stream: string, type = 'Happened'): Commit => ({
  id,
  streams: [{ stream, events: [{ type, data: { id }, time: 1_000 }] }],
})
const over = (id: string, ...streams: string[]): Commit => ({
  id,
  streams: streams.map((stream) => ({ stream, events: [{ type: 'A' }, { type: 'B', tags: ['t'] }] })),
})

describe.each(['memory', 'sqlite'])('%s', (driver) => {
  it('leaves out what patterns keep for themselves, however much of it is gone', async () => {
    const from = await newLog(driver)
    const ledger = '$subscription-mail/0'
    for (let step = 0; step < 3; step++)
      await from.append({ streams: [{ stream: ledger, events: [{ type: 'Progressed', data: {} }] }] })
    const both = ['a-1', ledger].map((stream) => ({
      stream,
      events: [{ type: 'Handled', data: { stream } }],
    }))
    await from.append({ id: 'both', streams: both })
    await from.append({ streams: [{ stream: '$scheduled-2026-11-21T17', events: [{ type: 'Later' }] }] })
    await from.truncate({ stream: ledger, beforeRevision: 2, forget: true })
    const lines = await collect(exportEvents(from))
    const to = await newLog(driver)
    expect(await importEvents(to, lines)).toMatchObject({ ok: true, events: 2, commits: 2, skipped: 2 })
    expect((await collect(to.read())).map(({ stream }) => stream)).toEqual([
      'a-1',
      '$scheduled-2026-11-21T17',
    ])
    for (const log of [to, from])
      expect(await importEvents(log, lines)).toMatchObject({ ok: true, events: 0, duplicates: 2, skipped: 2 })
  })

  it('what was exported is imported as it was: commits, ids, times, revisions, order', async () => {
    const from = await newLog(driver)
    const bytes = new Uint8Array([1, 2, 255])
    await append(
      from,
      one('c1', 'order-1'),
      over('c2', 'order-1', 'stock-apples'),
      {
        id: 'c3',
        streams: [
          {
            stream: 'order-2',
            events: [
              {
                id: 'mine',
                type: 'Paid',
                data: bytes,
                metadata: { actor: 'ada', note: { a: [1] } },
                schemaVersion: 3,
              },
              { type: 'Shipped', data: null, tags: ['customer:7'], time: 5 },
            ],
          },
        ],
      },
      one('c4', 'order-1'),
    )
    const lines = await collect(exportEvents(from, { source: 'https://a.example' }))
    expect(lines).toHaveLength(8)
    const to = await newLog(driver)
    expect(await importEvents(to, lines)).toEqual({
      ok: true,
      events: 8,
      commits: 4,
      duplicates: 0,
      skipped: 0,
      position: await to.head(),
    })
    expect(await contents(to)).toEqual(await contents(from))

    expect(await importEvents(to, lines)).toMatchObject({ ok: true, events: 0, commits: 0, duplicates: 8 })
    expect(await contents(to)).toEqual(await contents(from))
  })

  it('a line that is no CloudEvent: everything before it is in, nothing behind it, and it is said where', async () => {
    const from = await newLog(driver)
    await append(from, one('c1', 'a-1'), over('c2', 'a-1'), one('c3', 'a-1'), one('c4', 'b-1'))
    const lines = await collect(exportEvents(from))
    const bad = [...lines.slice(0, 3), '{"specversion":"1.0",}', ...lines.slice(3)]
    const to = await newLog(driver)
    await expect(importEvents(to, bad)).rejects.toThrow(/^line 4: .* at column 22/)
    expect(await contents(to)).toEqual((await contents(from)).slice(0, 3))
    await expect(importEvents(to, ['', lines[0]!, '{"id":"x"}'])).rejects.toThrow(
      /^line 3: not a CloudEvent: it has no specversion/,
    )
    // Mended, the same import goes on.
    expect(await importEvents(to, lines)).toMatchObject({ ok: true, events: 2, duplicates: 3 })
    expect(await contents(to)).toEqual(await contents(from))
  })

  it('a file that ends or goes wrong within a commit: nothing of that commit', async () => {
    const from = await newLog(driver)
    await append(from, one('c1', 'a-1'), over('c2', 'a-1', 'b-1'), one('c3', 'a-1'))
    const lines = await collect(exportEvents(from))
    const cases: [string[], RegExp][] = [
      [lines.slice(0, 3), /^line 3: commit c2 ends after event 1 of 4, counted from 0: the file ends/],
      [[...lines.slice(0, 3), lines[5]!], /^line 3: commit c2 ends .* line 4 is of another commit/],
      [[...lines.slice(0, 2), ...lines.slice(3)], /^line 3: it is event 2 .* event 1 would be next/],
      [[lines[0]!, ...lines.slice(2)], /^line 2: it is event 1 .* event 0 would be next/],
    ]
    for (const [torn, message] of cases) {
      const to = await newLog(driver)
      await expect(importEvents(to, torn)).rejects.toThrow(message)
      expect(await contents(to)).toEqual((await contents(from)).slice(0, 1))
    }
  })

  it('a stream that is not as the file expects is a conflict, and nothing from there on is imported', async () => {
    const from = await newLog(driver)
    await append(from, one('c1', 'a-1'), one('c2', 'a-2'), one('c3', 'a-1'), one('c4', 'a-3'))
    const lines = await collect(exportEvents(from))
    const to = await newLog(driver)
    await append(to, one('other', 'a-2'))
    expect(await importEvents(to, lines)).toEqual({
      ok: false,
      line: 2,
      conflicts: [{ stream: 'a-2', expected: 'none', actual: 0 }],
      events: 1,
      commits: 1,
      duplicates: 0,
      skipped: 0,
      position: await to.head(),
    })
    expect((await contents(to)).map(({ commit }) => commit)).toEqual(['other', 'c1'])
  })

  it('a part of a stream does not get other revisions by itself, but if it is asked for', async () => {
    const from = await newLog(driver)
    await append(from, one('c1', 'a-1'), over('c2', 'a-1'), one('c3', 'a-1'))
    const lines = await collect(exportEvents(from, { selector: { stream: 'a-1' }, fromRevision: 1 }))
    const to = await newLog(driver)
    expect(await importEvents(to, lines)).toMatchObject({
      ok: false,
      line: 1,
      events: 0,
      conflicts: [{ stream: 'a-1', expected: 0, actual: 'none' }],
    })
    const some = await collect(exportEvents(from, { selector: { types: ['B', 'Happened'] } }))
    expect(await importEvents(to, some, { revisions: 'renumber' })).toMatchObject({ ok: true, events: 3 })
    expect((await contents(to)).map(({ type, revision }) => [type, revision])).toEqual([
      ['Happened', 0],
      ['B', 1],
      ['Happened', 2],
    ])
    expect(await importEvents(to, some, { revisions: 'renumber' })).toMatchObject({
      events: 0,
      duplicates: 3,
    })
  })

  it('two files with parts of the same commits make one log', async () => {
    const from = await newLog(driver)
    await append(
      from,
      over('c1', 'a-1', 'b-1'),
      over('c2', 'b-1', 'a-1'),
      one('c3', 'b-1'),
      over('c4', 'a-1', 'b-1'),
    )
    const parts = [
      await collect(exportEvents(from, { selector: { category: 'a' } })),
      await collect(exportEvents(from, { selector: { category: 'b' } })),
    ]
    const to = await newLog(driver)
    for (const part of parts)
      expect(await importEvents(to, part)).toMatchObject({ ok: true, events: part.length })
    for (const part of [...parts, await collect(exportEvents(from))])
      expect(await importEvents(to, part)).toMatchObject({ ok: true, events: 0, duplicates: part.length })
    for (const stream of ['a-1', 'b-1']) {
      const ids = async (log: EventLog): Promise<string[]> =>
        (await collect(log.read({ stream }))).map(({ id, revision, type }) => `${revision} ${id} ${type}`)
      expect(await ids(to)).toEqual(await ids(from))
    }
  })

  it('events of other producers go where the subject says, or the source, or an option; once', async () => {
    const foreign = (id: string, more: object): string =>
      JSON.stringify({ specversion: '1.0', id, source: '/sensors', type: 'measured', ...more })
    const lines = [
      foreign('1', { subject: 'sensor-1', data: 20 }),
      foreign('2', { subject: 'sensor-1', data: 21 }),
      foreign('1', { source: '/other', subject: 'sensor-1', data: 22 }),
      foreign('3', {}),
      foreign('1', { subject: 'sensor-1', data: 20 }),
    ]
    const to = await newLog(driver)
    expect(await importEvents(to, lines)).toMatchObject({ ok: true, events: 4, duplicates: 1 })
    const where = await collect(to.read())
    expect(where.map(({ stream, revision, data }) => [stream, revision, data])).toEqual([
      ['sensor-1', 0, 20],
      ['sensor-1', 1, 21],
      ['sensor-1', 2, 22],
      ['/sensors', 0, undefined],
    ])
    const stream = (): string => 'all'
    expect(await importEvents(await newLog(driver), lines, { stream })).toMatchObject({ events: 4 })
  })

  it('a dry run says what would come of it, and appends nothing', async () => {
    const from = await newLog(driver)
    await append(from, one('c1', 'a-1'), over('c2', 'a-1', 'b-1'), one('c3', 'c-1'))
    const lines = await collect(exportEvents(from))
    const to = await newLog(driver)
    const dry = (): ReturnType<typeof importEvents> => importEvents(to, lines, { dryRun: true })
    expect(await dry()).toMatchObject({ ok: true, events: 6, commits: 3, duplicates: 0 })
    expect(await to.head()).toBe('0')
    await importEvents(to, lines.slice(0, 1))
    expect(await dry()).toMatchObject({ ok: true, events: 5, duplicates: 1 })
    expect(await importEvents(to, lines, { dryRun: true, revisions: 'renumber' })).toMatchObject({
      events: 5,
      duplicates: 1,
    })
    await append(to, one('other', 'c-1'))
    expect(await dry()).toMatchObject({
      ok: false,
      line: 6,
      conflicts: [{ stream: 'c-1', expected: 'none', actual: 0 }],
    })
    await expect(importEvents(to, ['{'], { dryRun: true })).rejects.toThrow(/^line 1: /)
  })

  it('an import that was interrupted anywhere is started again and completes', async () => {
    const from = await newLog(driver)
    for (let number = 0; number < 20; number++)
      await append(from, over(`c${number}`, `a-${number % 3}`, 'b-1'))
    const lines = await collect(exportEvents(from))
    const to = await newLog(driver)
    for (const most of [0, 1, 7, 11]) {
      let count = 0
      const failing = altered(to, {
        append: (commit) =>
          count++ < most
            ? to.append(commit)
            : Promise.reject(Object.assign(new Error('the power is gone'), { code: 'X' })),
      })
      await expect(importEvents(failing, lines)).rejects.toThrow('the power is gone')
    }
    expect(await importEvents(to, lines)).toMatchObject({ ok: true, events: 80 - 44, duplicates: 44 })
    expect(await contents(to)).toEqual(await contents(from))
  })

  it('a file with lines of several systems, empty ones and a byte order mark is read', async () => {
    const from = await newLog(driver)
    await append(from, one('c1', 'a-1'), one('c2', 'a-1'))
    const [first, second] = await collect(exportEvents(from))
    const events = await collect(readEvents([`\ufeff${first}\r`, '', ' \r', `${second}\r`]))
    expect(events.map(({ stream, revision, commit }) => [stream, revision, commit])).toEqual([
      ['a-1', 0, 'c1'],
      ['a-1', 1, 'c2'],
    ])
  })
})

it('whatever was appended, and wherever an import broke off: exported and imported it is the same', async () => {
  const name = fc.constantFrom('a-1', 'a-2', 'b-1', 'c')
  const commits = fc.array(
    fc.uniqueArray(fc.tuple(name, fc.integer({ min: 1, max: 3 })), {
      selector: ([stream]) => stream,
      minLength: 1,
      maxLength: 3,
    }),
    { maxLength: 12 },
  )
  await fc.assert(
    fc.asyncProperty(
      commits,
      fc.array(fc.nat(40), { maxLength: 3 }),
      fc.integer({ min: 1, max: 4 }),
      async (list, cuts, inFlight) => {
        const from = await openLog('memory:')
        const to = await openLog('memory:')
        for (const [index, streams] of list.entries())
          await from.append({
            id: `c${index}`,
            streams: streams.map(([stream, count]) => ({
              stream,
              events: Array.from({ length: count }, (_, number) => ({
                type: `T${number}`,
                ...(number === 1 && { id: `e${index}-${stream}` }),
              })),
            })),
          })
        const lines = await collect(exportEvents(from))
        for (const cut of cuts)
          await importEvents(to, lines.slice(0, cut), { inFlight }).catch(() => undefined)
        const before = (await to.stats()).events
        expect(await importEvents(to, lines, { inFlight })).toMatchObject({
          ok: true,
          events: lines.length - before,
          duplicates: before,
        })
        expect(await contents(to)).toEqual(await contents(from))
      },
    ),
    { numRuns: 300 },
  )
})

it('wherever a stream differs: nothing behind the conflict is imported', async () => {
  const streams = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { minLength: 1, maxLength: 20 })
  await fc.assert(
    fc.asyncProperty(
      streams,
      fc.nat(19),
      fc.nat(19),
      fc.integer({ min: 1, max: 8 }),
      async (list, done, at, inFlight) => {
        const from = await openLog('memory:')
        const to = await openLog('memory:')
        for (const [index, stream] of list.entries()) await from.append(one(`c${index}`, stream))
        const lines = await collect(exportEvents(from))
        await importEvents(to, lines.slice(0, done))
        const stream = list[at % list.length]!
        await to.append(one('other', stream))
        const first = list.findIndex((name, index) => index >= done && name === stream)
        const result = await importEvents(to, lines, { inFlight })
        const imported = (await contents(to))
          .map(({ commit }) => commit)
          .filter((commit) => commit !== 'other')
        if (first < 0) expect(result.ok).toBe(true)
        else {
          expect(result).toMatchObject({ ok: false, line: first + 1 })
          expect(imported).toEqual(list.slice(0, first).map((_, index) => `c${index}`))
        }
      },
    ),
    { numRuns: 300 },
  )
})

it('keeps many commits on their way, and never more than it may', async () => {
  const from = await openLog('memory:')
  for (let number = 0; number < 200; number++) await from.append(one(`c${number}`, `a-${number}`))
  const to = await openLog('memory:')
  let onTheirWay = 0
  let most = 0
  const counted = altered(to, {
    append: async (commit) => {
      most = Math.max(most, ++onTheirWay)
      const result = await to.append(commit)
      // As from an engine that answers in a later turn of the event loop.
      await new Promise(setImmediate)
      onTheirWay--
      return result
    },
  })
  let read = 0
  const lines = async function* (): AsyncGenerator<string> {
    for await (const line of exportEvents(from)) {
      // Memory stays flat: lines are not read far ahead of what is appended.
      expect(++read - Number(await to.head())).toBeLessThanOrEqual(16 + 2)
      yield line
    }
  }
  expect(await importEvents(counted, lines(), { inFlight: 16 })).toMatchObject({ ok: true, events: 200 })
  expect(most).toBe(16)
})

it('goes through the transforms of the log, and keeps its order', async () => {
  const from = await openLog('memory:')
  for (let number = 0; number < 20; number++)
    await from.append(number % 2 === 0 ? over(`c${number}`, 'a-1', 'b-1') : one(`c${number}`, 'a-1'))
  const seen: string[] = []
  const transform: EventTransform = {
    write: async (event) => {
      await Promise.resolve()
      seen.push(event.id!)
      return event
    },
  }
  const to = await openLog('memory:', { transforms: [transform] })
  expect(await importEvents(to, exportEvents(from))).toMatchObject({ ok: true, events: 50 })
  expect(await contents(to)).toEqual(await contents(from))
  expect(seen).toHaveLength(50)
})

it('ends when its signal does, and says why', async () => {
  const from = await openLog('memory:')
  for (let number = 0; number < 10; number++) await from.append(one(`c${number}`, 'a-1'))
  const to = await openLog('memory:')
  const stop = new AbortController()
  const lines = async function* (): AsyncGenerator<string> {
    let count = 0
    for await (const line of exportEvents(from)) {
      if (++count === 5) stop.abort(new Error('enough'))
      yield line
    }
  }
  await expect(importEvents(to, lines(), { signal: stop.signal })).rejects.toThrow('enough')
  expect((await to.stats()).events).toBe(4)
})

it('refuses options that it does not know', async () => {
  const log = await openLog('memory:')
  await expect(importEvents(log, [], { dryrun: true } as object)).rejects.toThrow(/did you mean `dryRun`/)
  await expect(collect(exportEvents(log, { stream: 'a' } as object))).rejects.toThrow(
    /stream.* is not an option/,
  )
})
