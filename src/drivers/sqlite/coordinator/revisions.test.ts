import Database from 'better-sqlite3'
import { cpSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { systemClock } from '../../../core/clock.js'
import type { CoordinatorDriver } from '../../../coordination/driver.js'
import { openSqliteCoordinator } from './driver.js'
import { thisMachine } from './machine.js'
import { identityOf } from './place.js'
import { BLOCK, JUMP, LAST } from './revisions.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-revisions-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let files = 0
function freshFile(): string {
  return join(root, `store-${++files}.db`)
}

/** @param boot - which start of the machine */
function open(path: string, boot = 'first'): Promise<CoordinatorDriver> {
  const machine = { boot, now: () => thisMachine().now() }
  return openSqliteCoordinator({ driver: 'sqlite', path }, { clock: systemClock }, { machine, identityOf })
}

async function put(driver: CoordinatorDriver, key = 'k', lease?: string): Promise<number> {
  const result = await driver.put(key, 'v', 'any', lease)
  if (!result.ok) throw new Error('refused')
  return result.revision
}

async function watched(driver: CoordinatorDriver, after: number): Promise<unknown> {
  const watch = driver.watch('', after, new AbortController().signal)[Symbol.asyncIterator]()
  try {
    return (await watch.next()).value
  } catch (error) {
    return (error as { code: string }).code
  }
}

function inside(file: string, sql: string): unknown {
  const db = new Database(file)
  try {
    return db.prepare(sql).raw().get()
  } finally {
    db.close()
  }
}

test('revisions go on when the file is opened again', async () => {
  const file = freshFile()
  const first = await open(file)
  const { id } = await first.grant(60_000)
  const before = await put(first, 'held', id)
  await first.close()
  const again = await open(file)
  expect(await put(again)).toBe(before + 1)
  expect(await again.renew([id], 1000)).toEqual([true])
  await again.close()
})

test('after a start of the machine revisions are above all that can have been given out, and no lease is left', async () => {
  const file = freshFile()
  const first = await open(file)
  const { id } = await first.grant(60_000)
  await put(first, 'held', id)
  const kept = await put(first, 'kept')
  await first.close()

  const next = await open(file, 'second')
  expect((await next.list('')).entries.map(({ key }) => key)).toEqual(['kept'])
  expect(await next.renew([id], 1000)).toEqual([false])
  const revision = await put(next)
  expect(revision).toBeGreaterThan(BLOCK)
  // Whoever has seen a state that went with the power has to list again.
  expect(await watched(next, kept)).toBe('BANYAN_COMPACTED')
  // An id of a lease of that time means none of this.
  const lease = await next.grant(60_000)
  expect(lease.id).not.toBe(id)
  await next.close()
})

test('a copy has revisions of its own', async () => {
  const file = freshFile()
  const original = await open(file)
  const { id } = await original.grant(60_000)
  await put(original, 'held', id)
  await original.close()
  const copied = freshFile()
  cpSync(file, copied)
  cpSync(`${file}-head`, `${copied}-head`)

  const copy = await open(copied)
  expect((await copy.list('')).entries).toEqual([])
  expect(await put(copy)).toBeGreaterThan(JUMP)
  await copy.close()
})

test('a file that is put back to an earlier state in its place goes on far above the later one', async () => {
  const file = freshFile()
  const first = await open(file)
  await put(first)
  await first.close()
  const backup = freshFile()
  copyFileSync(file, backup)
  const second = await open(file)
  let last = 0
  for (let count = 0; count < 10; count++) last = await put(second)
  await second.close()
  // The same inode, that was born at the same time.
  copyFileSync(backup, file)

  const third = await open(file)
  expect(await put(third)).toBeGreaterThan(last + JUMP)
  await third.close()
})

test('a file that was removed and is made anew goes on above the removed one', async () => {
  const file = freshFile()
  const first = await open(file)
  const last = await put(first)
  await first.close()
  rmSync(file)
  const second = await open(file)
  expect(await put(second)).toBeGreaterThan(last)
  expect(await second.get('k')).toMatchObject({ value: 'v' })
  await second.close()
})

test('at the end of a block there is a new one, that is in the file before it is used', async () => {
  const file = freshFile()
  const driver = await open(file)
  const head = await driver.head()
  inside(file, `UPDATE store SET ceiling = ${head + 2} RETURNING 1`)
  for (let step = 1; step <= 5; step++) expect(await put(driver)).toBe(head + step)
  expect(inside(file, 'SELECT ceiling FROM store')).toEqual([head + 2 + BLOCK])
  await driver.close()
})

test('a lease ends at the end of a block as well', async () => {
  const file = freshFile()
  const driver = await open(file)
  const { id } = await driver.grant(60_000)
  await put(driver, 'a', id)
  const head = await put(driver, 'b', id)
  inside(file, `UPDATE store SET ceiling = ${head} RETURNING 1`)
  await driver.revoke(id)
  expect(await driver.list('')).toEqual({ entries: [], revision: head + 1 })
  await driver.close()
})

test('when revisions are used up, changes are refused, and what is there can be read', async () => {
  const file = freshFile()
  const driver = await open(file)
  await put(driver, 'kept')
  inside(file, `UPDATE store SET ceiling = ${LAST}, revision = ${LAST - 1} RETURNING 1`)
  expect(await put(driver, 'last')).toBe(LAST)
  await expect((async () => driver.put('k', 'v', 'any', undefined))()).rejects.toMatchObject({
    code: 'BANYAN_COORDINATOR_UNAVAILABLE',
    message: expect.stringContaining('used up') as string,
  })
  expect((await driver.list('')).entries.map(({ key }) => key)).toEqual(['kept', 'last'])
  await driver.close()
})

test('who had it open before it was taken over does nothing with it any more', async () => {
  const file = freshFile()
  const before = await open(file)
  await put(before)
  const { id } = await before.grant(60_000)
  const other = await open(file, 'another machine')
  // The first of its time, as the other was.
  const lease = await other.grant(60_000)
  for (const call of [
    async () => before.revoke(id),
    async () => before.get('k'),
    async () => before.put('k', 'v', 'any', undefined),
    async () => before.grant(1000),
    async () => before.head(),
  ])
    await expect(call()).rejects.toMatchObject({
      code: 'BANYAN_COORDINATOR_UNAVAILABLE',
      message: expect.stringContaining('taken over') as string,
    })
  // Not even waiting.
  expect(await watched(before, 1)).toBe('BANYAN_COORDINATOR_UNAVAILABLE')
  expect(await other.renew([lease.id], 1000)).toEqual([true])
  expect(await other.get('k')).toMatchObject({ value: 'v' })
  await before.close()
  await other.close()
})
