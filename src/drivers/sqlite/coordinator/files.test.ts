import Database from 'better-sqlite3'
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { openCoordinator, type Coordinator } from '../../../coordination/index.js'
import { openLog } from '../../../events/index.js'
import { networkOf } from './place.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-coordination-files-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let directories = 0
function freshPath(): string {
  return join(root, `store-${++directories}`)
}

function open(path: string): Promise<Coordinator> {
  return openCoordinator(`sqlite:${path}`)
}

/** Code and message of the error that a call fails with. */
async function errorOf(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  return call.then(
    () => ({ code: 'none', message: '' }),
    (error: unknown) => error as { code: string; message: string },
  )
}

test('a directory has the keys in coordination.db; closed, it is one file and where it ends', async () => {
  const path = freshPath()
  const coordinator = await open(path)
  await coordinator.put('k', 'v')
  await coordinator.close()
  expect(readdirSync(path)).toEqual(['coordination.db', 'coordination.db-head'])
})

test('a name that ends in .db is the file', async () => {
  const path = freshPath()
  await (await open(`${path}/locks.db`)).close()
  expect(readdirSync(path)).toContain('locks.db')
})

test('many may make it at the same time', async () => {
  const path = freshPath()
  const all = await Promise.all(Array.from({ length: 8 }, () => open(path)))
  const results = await Promise.all(
    all.map((coordinator, index) => coordinator.put('first', `${index}`, { expected: 'absent' })),
  )
  expect(results.filter(({ ok }) => ok)).toHaveLength(1)
  await Promise.all(all.map((coordinator) => coordinator.close()))
})

test('without a path, or with an option that there is not, it is refused', async () => {
  expect(await errorOf(openCoordinator('sqlite:'))).toMatchObject({ code: 'BANYAN_DRIVER_MISSING' })
  expect(await errorOf(openCoordinator({ driver: 'sqlite', path: '' }))).toMatchObject({
    code: 'BANYAN_INVALID_OPTIONS',
  })
  const misspelt = { driver: 'sqlite', path: freshPath(), durable: true } as never
  expect(await errorOf(openCoordinator(misspelt))).toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
})

describe('nothing is done to a file', () => {
  test('of something else', async () => {
    const path = freshPath()
    const log = await openLog(`sqlite:${path}`)
    await log.close()
    const bytes = readFileSync(join(path, 'events.db'))
    expect(await errorOf(open(join(path, 'events.db')))).toMatchObject({
      code: 'BANYAN_COORDINATOR_FORMAT',
      message: expect.stringContaining('not of a coordinator') as string,
    })
    expect(readFileSync(join(path, 'events.db')).equals(bytes)).toBe(true)
  })

  test('of a newer format', async () => {
    const path = freshPath()
    await (await open(path)).close()
    inside(path, 'PRAGMA user_version = 7')
    expect(await errorOf(open(path))).toMatchObject({
      code: 'BANYAN_COORDINATOR_FORMAT',
      message: expect.stringContaining('format 7') as string,
    })
  })

  test('with other tables', async () => {
    const path = freshPath()
    await (await open(path)).close()
    inside(path, 'DROP INDEX keys_by_lease')
    expect(await errorOf(open(path))).toMatchObject({ code: 'BANYAN_COORDINATOR_CORRUPT' })
  })

  test('that is no database', async () => {
    const path = freshPath()
    mkdirSync(path)
    writeFileSync(join(path, 'coordination.db'), 'This is not a database at all. '.repeat(100))
    expect(await errorOf(open(path))).toMatchObject({ code: 'BANYAN_COORDINATOR_CORRUPT' })
  })

  test('whose pages are damaged', async () => {
    const path = freshPath()
    const coordinator = await open(path)
    await coordinator.put('k', 'v')
    await coordinator.close()
    const file = join(path, 'coordination.db')
    const bytes = readFileSync(file)
    bytes.fill(0xff, 4096)
    writeFileSync(file, bytes)
    expect(await errorOf(open(path))).toMatchObject({
      code: 'BANYAN_COORDINATOR_CORRUPT',
      message: expect.stringContaining(file) as string,
    })
  })

  test.skipIf(process.getuid?.() === 0)('that may not be written to', async () => {
    const path = freshPath()
    await (await open(path)).close()
    chmodSync(join(path, 'coordination.db'), 0o400)
    expect(await errorOf(open(path))).toMatchObject({ code: 'BANYAN_COORDINATOR_UNAVAILABLE' })
  })
})

test('where a file is in the way of the directory, the message names it', async () => {
  const path = freshPath()
  writeFileSync(path, '')
  expect(await errorOf(open(join(path, 'below')))).toMatchObject({
    code: 'BANYAN_COORDINATOR_UNAVAILABLE',
    message: expect.stringContaining(path) as string,
  })
})

describe('a file that is not in its place any more', () => {
  test.each([
    ['removed', (file: string) => rmSync(file)],
    ['moved', (file: string) => renameSync(file, `${file}.old`)],
    [
      'replaced',
      (file: string) => {
        renameSync(file, `${file}.old`)
        writeFileSync(file, '')
      },
    ],
  ])('as it was %s is not used', async (_, displace) => {
    const path = freshPath()
    const coordinator = await open(path)
    await coordinator.put('k', 'v')
    const lease = await coordinator.lease('100ms')
    const lost = new Promise((resolve) => lease.signal.addEventListener('abort', resolve))
    const watch = coordinator.watch('')[Symbol.asyncIterator]()
    await watch.next()
    const next = errorOf(watch.next())
    displace(join(path, 'coordination.db'))
    expect(await errorOf(coordinator.get('k'))).toMatchObject({
      code: 'BANYAN_COORDINATOR_UNAVAILABLE',
      message: expect.stringContaining('removed or replaced') as string,
    })
    expect(await errorOf(coordinator.put('k', 'w'))).toMatchObject({ code: 'BANYAN_COORDINATOR_UNAVAILABLE' })
    await lost
    expect(await next).toMatchObject({ code: 'BANYAN_COORDINATOR_UNAVAILABLE' })
    await coordinator.close()
  })

  test('that is done meanwhile is not said to be done', async () => {
    const path = freshPath()
    const coordinator = await open(path)
    rmSync(join(path, 'coordination.db'))
    expect(await errorOf(coordinator.put('k', 'v'))).toMatchObject({ code: 'BANYAN_OUTCOME_UNKNOWN' })
    await coordinator.close()
  })

  test('and comes back is used again', async () => {
    const path = freshPath()
    const file = join(path, 'coordination.db')
    const coordinator = await open(path)
    await coordinator.put('k', 'v')
    renameSync(file, `${file}.away`)
    expect(await errorOf(coordinator.get('k'))).toMatchObject({ code: 'BANYAN_COORDINATOR_UNAVAILABLE' })
    renameSync(`${file}.away`, file)
    expect(await coordinator.get('k')).toMatchObject({ value: 'v' })
    await coordinator.close()
  })
})

test('the write-ahead log does not grow without end', async () => {
  const path = freshPath()
  const coordinator = await open(path)
  const lease = await coordinator.lease('1m')
  const begun = timesBegun(path)
  // A thread copies it into the file meanwhile; then it begins anew.
  while (timesBegun(path) === begun) {
    for (let count = 0; count < 100; count++) await coordinator.put('k', 'v', { lease })
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect((await coordinator.get('k'))?.value).toBe('v')
  await coordinator.close()
})

test('file systems of networks are known by their numbers, with or without a sign', () => {
  expect(networkOf(0x6969)).toBe('NFS')
  expect(networkOf(0xff534d42)).toBe('CIFS')
  expect(networkOf(0xff534d42 | 0)).toBe('CIFS')
  // ext4
  expect(networkOf(0xef53)).toBeUndefined()
})

function inside(path: string, sql: string): void {
  const db = new Database(join(path, 'coordination.db'))
  db.exec(sql)
  db.close()
}

/** How often the write-ahead log has begun anew, which is in its header. */
function timesBegun(path: string): number {
  return readFileSync(join(path, 'coordination.db-wal')).readUInt32BE(12)
}
