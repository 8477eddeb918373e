import Database from 'better-sqlite3'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openLog, type EventLog } from '../../events/index.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-files-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let directories = 0
function freshPath(): string {
  return join(root, `log-${++directories}`)
}

async function put(log: EventLog, stream: string, count = 1): Promise<void> {
  const events = Array.from({ length: count }, (_, number) => ({ type: 'Happened', data: { number } }))
  await log.append({ streams: [{ stream, events }] })
}

/** The files of a log as a killed process leaves them. */
function copyOf(path: string, suffixes: readonly string[]): string {
  const copy = freshPath()
  mkdirSync(copy)
  for (const suffix of suffixes)
    copyFileSync(join(path, `events.db${suffix}`), join(copy, `events.db${suffix}`))
  return copy
}

test('a directory has the log in events.db; closed, it is one file and where it ends', async () => {
  const path = freshPath()
  const log = await openLog(`sqlite:${path}`)
  await put(log, 'order-1')
  await log.close()
  expect(readdirSync(path)).toEqual(['events.db', 'events.db-head'])
})

test('a name that ends in .db is the file', async () => {
  const path = freshPath()
  const log = await openLog(`sqlite:${path}/orders.db`)
  await put(log, 'order-1')
  await log.close()
  expect(readdirSync(path)).toEqual(['orders.db', 'orders.db-head'])
})

test('a person can read it with plain SQL', async () => {
  const path = freshPath()
  const log = await openLog(`sqlite:${path}`)
  await log.append({
    id: 'c1',
    streams: [{ stream: 'order-1', events: [{ type: 'Placed', data: { total: 30 }, tags: ['customer:7'] }] }],
  })
  await log.close()
  const db = new Database(join(path, 'events.db'), { readonly: true })
  const rows = db
    .prepare(
      `SELECT position, name, revision, commit_id, type, data ->> 'total' AS total, tags
       FROM events JOIN streams ON streams.id = events.stream`,
    )
    .all()
  expect(rows).toEqual([
    {
      position: 1,
      name: 'order-1',
      revision: 0,
      commit_id: 'c1',
      type: 'Placed',
      total: 30,
      tags: '["customer:7"]',
    },
  ])
  expect(db.pragma('journal_mode', { simple: true })).toBe('wal')
  db.close()
})

test('lockWait must be a duration', async () => {
  const spec = { driver: 'sqlite', path: freshPath(), lockWait: 'soon' } as unknown as {
    driver: 'sqlite'
    path: string
  }
  await expect(openLog(spec)).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
})

test('appends wait while another process writes, and no longer than lockWait', async () => {
  const path = freshPath()
  const log = await openLog({ driver: 'sqlite', path, lockWait: '200ms' })
  await put(log, 'order-1')
  const other = new Database(join(path, 'events.db'))
  other.exec('BEGIN IMMEDIATE')
  await expect(put(log, 'order-1')).rejects.toMatchObject({ code: 'BANYAN_LOG_LOCKED' })
  expect(await log.revision('order-1')).toBe(0)
  const waits = put(log, 'order-1')
  other.exec('ROLLBACK')
  await waits
  expect(await log.revision('order-1')).toBe(1)
  other.close()
  await log.close()
})

describe('what was acknowledged and is not there is told at opening', () => {
  test('if the write-ahead log was removed', async () => {
    const path = freshPath()
    const log = await openLog(`sqlite:${path}`)
    await put(log, 'order-1')
    const copy = copyOf(path, ['', '-head'])
    await log.close()
    await expect(openLog(`sqlite:${copy}`)).rejects.toMatchObject({
      code: 'BANYAN_LOG_CORRUPT',
      message: expect.stringContaining('events.db-wal') as string,
    })
  })

  test('if an older file was put in its place; without the witness it is opened', async () => {
    const path = freshPath()
    const log = await openLog(`sqlite:${path}`)
    await put(log, 'order-1')
    await log.backup(join(root, 'older.db'))
    await put(log, 'order-1')
    await log.close()
    copyFileSync(join(root, 'older.db'), join(path, 'events.db'))
    await expect(openLog(`sqlite:${path}`)).rejects.toMatchObject({
      code: 'BANYAN_LOG_CORRUPT',
      message: expect.stringContaining('events.db-head') as string,
    })
    rmSync(join(path, 'events.db-head'))
    const older = await openLog(`sqlite:${path}`)
    expect(await older.revision('order-1')).toBe(0)
    await older.close()
  })

  test('if the file was removed; nothing is made in its place', async () => {
    const path = freshPath()
    const log = await openLog(`sqlite:${path}`)
    await put(log, 'order-1')
    await log.close()
    rmSync(join(path, 'events.db'))
    await expect(openLog(`sqlite:${path}`)).rejects.toMatchObject({ code: 'BANYAN_LOG_CORRUPT' })
    expect(existsSync(join(path, 'events.db'))).toBe(false)
  })
})

test('tables that are not those of the format are refused', async () => {
  const path = freshPath()
  const log = await openLog(`sqlite:${path}`)
  await log.close()
  const db = new Database(join(path, 'events.db'))
  db.exec('ALTER TABLE events ADD COLUMN more TEXT')
  db.close()
  await expect(openLog(`sqlite:${path}`)).rejects.toMatchObject({
    code: 'BANYAN_LOG_CORRUPT',
    message: expect.stringContaining('tables') as string,
  })
})

test('truncation makes the file smaller, and what is left can be read', async () => {
  const path = freshPath()
  const log = await openLog(`sqlite:${path}`)
  const data = 'x'.repeat(20_000)
  for (let round = 0; round < 10; round++)
    await Promise.all(
      Array.from({ length: 50 }, () =>
        log.append({ streams: [{ stream: `order-${round}`, events: [{ type: 'A', data }] }] }),
      ),
    )
  await put(log, 'order-10')
  const { bytes, head } = await log.stats()
  const { removed } = await log.truncate({ all: true, upTo: head })
  expect(removed).toBe(501)
  await put(log, 'order-3')
  expect(await log.revision('order-3')).toBe(50)
  await log.close()
  expect(statSync(join(path, 'events.db')).size).toBeLessThan(bytes / 2)
})
