import { existsSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it } from 'vitest'
import { altered, closeLogs, collect, contents, newDirectory, newLog } from '../../../test/support/logs.js'
import type { EventLog, Truncation } from '../index.js'
import { archive, exportEvents, fileLines, importEvents, readEvents, writeLines } from './index.js'

afterEach(closeLogs)

async function* linesOf(lines: readonly string[]): AsyncGenerator<string> {
  for (const line of lines) yield await Promise.resolve(line)
}

/** Ten commits over two streams each, of two categories. */
async function filled(driver: string): Promise<EventLog> {
  const log = await newLog(driver)
  for (let number = 0; number < 10; number++)
    await log.append({
      id: `c${number}`,
      streams: [
        { stream: `order-${number % 3}`, events: [{ type: 'Placed', data: { number } }, { type: 'Paid' }] },
        { stream: 'stock-1', events: [{ type: 'Taken', tags: ['apples'] }] },
      ],
    })
  return log
}

describe.each(['memory', 'sqlite'])('%s', (driver) => {
  it('what is archived is in the file and no longer in the log; both together are everything', async () => {
    const directory = join(newDirectory(), 'archive')
    const log = await filled(driver)
    const before = await contents(log)
    const middle = (await collect(log.read()))[14]!.position
    const archived = await archive(log, { all: true, upTo: middle }, { directory, source: '/shop' })
    expect(archived).toEqual({
      events: 15,
      removed: 15,
      file: join(directory, 'all-0000000000000001.ndjson.gz'),
      bytes: expect.any(Number) as number,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/) as string,
    })
    expect(readdirSync(directory)).toEqual(['all-0000000000000001.ndjson.gz'])
    expect(await contents(log)).toEqual(before.slice(15))
    const file = archived.file!
    expect(gunzipSync(readFileSync(file)).toString().split('\n')).toHaveLength(16)
    expect((await collect(readEvents(fileLines(file)))).map(({ id }) => id)).toEqual(
      before.slice(0, 15).map(({ id }) => id),
    )

    // The next archive goes on, and from the files the log is made again.
    const rest = await archive(log, { all: true, upTo: await log.head() }, { directory })
    expect(rest).toMatchObject({ events: 15, removed: 15 })
    const to = await newLog(driver)
    await importEvents(to, fileLines(file))
    await importEvents(to, fileLines(rest.file!))
    expect(await contents(to)).toEqual(before)
  })

  it('an archive and an export of the rest make the log again, also where commits are cut in two', async () => {
    const directory = newDirectory()
    const log = await filled(driver)
    const before = await collect(log.read())
    const whats: Truncation[] = [
      { category: 'order', upTo: before[12]!.position },
      { stream: 'stock-1', beforeRevision: 7 },
    ]
    const files: string[] = []
    for (const what of whats) files.push((await archive(log, what, { directory })).file!)
    expect(files.map((file) => file.slice(directory.length + 1))).toEqual([
      'category-order-0000000000000001.ndjson.gz',
      'stream-stock-1-0000000000000003.ndjson.gz',
    ])
    const to = await newLog(driver)
    for (const lines of [...files.map((file) => fileLines(file)), exportEvents(log)])
      expect(await importEvents(to, lines)).toMatchObject({ ok: true })
    for (const stream of ['order-0', 'order-1', 'order-2', 'stock-1']) {
      const original = before
        .filter((event) => event.stream === stream)
        .map(({ id, revision }) => ({ id, revision }))
      const again = (await collect(to.read({ stream }))).map(({ id, revision }) => ({ id, revision }))
      expect(again).toEqual(original)
    }
  })

  it('a crash between the file and the truncation: the same call goes on with the file', async () => {
    const directory = newDirectory()
    const log = await filled(driver)
    const what = { category: 'order', upTo: await log.head() }
    const crashing = altered(log, { truncate: () => Promise.reject(new Error('crash')) })
    await expect(archive(crashing, what, { directory })).rejects.toThrow('crash')
    expect((await log.stats()).events).toBe(30)
    await log.append({ id: 'late', streams: [{ stream: 'order-1', events: [{ type: 'Late' }] }] })
    expect(await archive(log, { ...what, upTo: await log.head() }, { directory })).toMatchObject({
      events: 20,
      removed: 20,
    })
    expect(await collect(log.read({ category: 'order' }))).toMatchObject([{ type: 'Late' }])
    const next = await archive(log, { ...what, upTo: await log.head() }, { directory })
    expect(next).toMatchObject({ events: 1, removed: 1 })
    expect(readdirSync(directory)).toHaveLength(2)
  })

  it('a crash while the file is written: it has no name, and the same call writes it anew', async () => {
    const directory = newDirectory()
    const log = await filled(driver)
    const what = { all: true as const, upTo: await log.head() }
    const crashing = altered(log, {
      read: async function* (selector: object, options: { limit?: number }) {
        if (options.limit !== undefined) yield* log.read(selector, options)
        else {
          yield* log.read(selector, { ...options, limit: 5 })
          throw new Error('the disk is on fire')
        }
      } as EventLog['read'],
    })
    await expect(archive(crashing, what, { directory })).rejects.toThrow('the disk is on fire')
    expect(readdirSync(directory)).toEqual([])
    expect((await log.stats()).events).toBe(30)
    expect(await archive(log, what, { directory })).toMatchObject({ events: 30, removed: 30 })
  })

  it('holds are respected, and said', async () => {
    const directory = newDirectory()
    const log = await filled(driver)
    const events = await collect(log.read())
    await log.hold('report', events[5]!.position)
    const what = { all: true as const, upTo: events[20]!.position }
    expect(await archive(log, what, { directory })).toMatchObject({ events: 6, removed: 6, heldBy: 'report' })
    expect(await archive(log, what, { directory })).toEqual({ events: 0, removed: 0, heldBy: 'report' })
    await log.release('report')
    expect(await archive(log, what, { directory })).toMatchObject({ events: 15, removed: 15 })
    expect(await archive(log, what, { directory })).toEqual({ events: 0, removed: 0 })
    expect(await archive(log, { stream: 'order-1', beforeRevision: 0 }, { directory })).toEqual({
      events: 0,
      removed: 0,
    })
  })

  it('a file of that name with other events is not touched, and nothing is removed', async () => {
    const directory = newDirectory()
    const log = await filled(driver)
    const other = await newLog('memory')
    await other.append({ streams: [{ stream: 'x-1', events: [{ type: 'Other' }] }] })
    await archive(other, { all: true, upTo: await other.head() }, { directory })
    const what = { all: true as const, upTo: await log.head() }
    await expect(archive(log, what, { directory })).rejects.toThrow(
      /is there and has other events than this log/,
    )
    expect((await log.stats()).events).toBe(30)
  })

  it('streams with any name have files of their own', async () => {
    const directory = newDirectory()
    const log = await newLog(driver)
    const names = ['../../etc/x', '..', 'a/b', 'a_b', 'a b', '\u00e4', 'x'.repeat(500)]
    for (const stream of names) await log.append({ streams: [{ stream, events: [{ type: 'T' }] }] })
    for (const stream of names)
      expect(await archive(log, { stream, beforeRevision: 1 }, { directory })).toMatchObject({ removed: 1 })
    expect(readdirSync(directory)).toHaveLength(names.length)
    for (const file of readdirSync(directory))
      expect(await collect(readEvents(fileLines(join(directory, file))))).toHaveLength(1)
  })
})

describe('files of lines', () => {
  it.each(['events.ndjson', 'events.ndjson.gz'])('are read as they were written: %s', async (name) => {
    const path = join(newDirectory(), name)
    const lines = Array.from(
      { length: 20_000 },
      (_, number) => `${number} caf\u00e9 \u{1f600} ${'x'.repeat(number % 50)}`,
    )
    const written = await writeLines(path, linesOf(lines))
    expect(written).toMatchObject({ lines: 20_000, bytes: readFileSync(path).length })
    expect(await collect(fileLines(path))).toEqual(lines)
    expect(gzipSync('x').subarray(0, 2).equals(readFileSync(path).subarray(0, 2))).toBe(name.endsWith('.gz'))
  })

  it('never take the place of another file', async () => {
    const directory = newDirectory()
    const path = join(directory, 'events.ndjson')
    writeFileSync(path, 'mine\n')
    await expect(writeLines(path, linesOf(['yours']))).rejects.toThrow('EEXIST')
    expect(readFileSync(path, 'utf8')).toBe('mine\n')
    expect(readdirSync(directory)).toEqual(['events.ndjson'])
  })

  it('are not made for nothing', async () => {
    const path = join(newDirectory(), 'events.ndjson.gz')
    expect(await writeLines(path, linesOf([]))).toMatchObject({ lines: 0 })
    expect(existsSync(path)).toBe(false)
  })

  it('may lack their last newline', async () => {
    const path = join(newDirectory(), 'events.ndjson')
    writeFileSync(path, 'a\n\nb')
    expect(await collect(fileLines(path))).toEqual(['a', '', 'b'])
  })

  it('that are cut or damaged are said to be, after what could be read', async () => {
    const path = join(newDirectory(), 'events.ndjson.gz')
    const random = Array.from({ length: 30_000 }, (_, number) => `${(number * 7919) % 104_729}`)
    await writeLines(path, linesOf(random))
    truncateSync(path, readFileSync(path).length - 100)
    let lines = 0
    const read = async (): Promise<void> => {
      for await (const line of fileLines(path)) expect(line).toBe(random[lines++])
    }
    await expect(read()).rejects.toMatchObject({
      code: 'BANYAN_LOG_CORRUPT',
      message: expect.stringMatching(/is damaged or not complete: unexpected end of file/) as string,
    })
    writeFileSync(path, Buffer.from('no gzip at all'))
    await expect(collect(fileLines(path))).rejects.toThrow(/is damaged or not complete/)
    await expect(collect(fileLines(`${path}.absent`))).rejects.toThrow('ENOENT')
  })

  it('that are not UTF-8 are refused with the line', async () => {
    const path = join(newDirectory(), 'events.ndjson')
    writeFileSync(
      path,
      Buffer.concat([Buffer.from('one\ntwo\n'), Buffer.from([0x66, 0xff]), Buffer.from('\nfour\n')]),
    )
    await expect(collect(fileLines(path))).rejects.toThrow('line 3: it is not UTF-8')
  })
})
