import Database from 'better-sqlite3'
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { BanyanError } from '../../src/core/errors.js'
import { openLog } from '../../src/events/index.js'
import { Child } from './support/child.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-refusals-'))
chmodSync(root, 0o777)
afterAll(() => rmSync(root, { recursive: true, force: true }))

const commit = { streams: [{ stream: 'order-1', events: [{ type: 'Placed' }] }] }

/** What opening it and appending to it throws. */
async function refusalOf(path: string): Promise<{ code: string; message: string }> {
  try {
    const log = await openLog(`sqlite:${path}`)
    await log.append(commit).finally(() => log.close())
  } catch (error) {
    if (error instanceof BanyanError) return error
    throw error
  }
  return { code: 'none', message: '' }
}

async function makeLog(path: string): Promise<void> {
  const log = await openLog(`sqlite:${path}`)
  await log.append(commit)
  await log.close()
}

test(
  'a database that a foreign process keeps locked is told, and used once it is free',
  { timeout: 300_000 },
  async () => {
    const file = join(root, 'locked.db')
    const log = await openLog({ driver: 'sqlite', path: file, lockWait: '500ms' })
    await log.append(commit)
    const holder = new Child('holder.mjs', { file })
    await holder.said('ready')
    await expect(log.append(commit)).rejects.toMatchObject({
      code: 'BANYAN_LOG_LOCKED',
      message: expect.stringContaining(file) as string,
    })
    // Reading does not wait for whoever writes.
    expect(await log.revision('order-1')).toBe(0)
    holder.signal('SIGKILL')
    await holder.exited
    expect(await log.append(commit)).toMatchObject({ ok: true, streams: [{ revision: 1 }] })
    await log.close()
  },
)

test('a file that is no SQLite database is refused and left as it is', async () => {
  const file = join(root, 'text.db')
  const text = 'Dear diary, today nothing was appended. '.repeat(300)
  writeFileSync(file, text)
  const { code, message } = await refusalOf(file)
  expect(code).toBe('BANYAN_LOG_CORRUPT')
  expect(message).toContain(file)
  expect(readFileSync(file, 'utf8')).toBe(text)
})

test('the database of another program is refused and left as it is', async () => {
  const file = join(root, 'other.db')
  const database = new Database(file)
  database.exec(`CREATE TABLE users (name text); INSERT INTO users VALUES ('Ada')`)
  database.close()
  const before = readFileSync(file)
  const { code, message } = await refusalOf(file)
  expect(code).toBe('BANYAN_LOG_CORRUPT')
  expect(message).toContain(file)
  expect(readFileSync(file).equals(before)).toBe(true)
})

test('a log of a newer format is refused', async () => {
  const file = join(root, 'newer.db')
  await makeLog(file)
  const database = new Database(file)
  database.pragma('user_version = 999')
  database.close()
  expect(await refusalOf(file)).toMatchObject({
    code: 'BANYAN_LOG_FORMAT',
    message: expect.stringMatching(/999/) as string,
  })
})

test('a directory that is missing is made, with those above it', async () => {
  expect(await refusalOf(join(root, 'not/there/yet'))).toMatchObject({ code: 'none' })
})

test('a file where a directory should be is told', async () => {
  const file = join(root, 'file')
  writeFileSync(file, '')
  expect(await refusalOf(join(file, 'below'))).toMatchObject({
    code: 'BANYAN_LOG_UNAVAILABLE',
    message: expect.stringContaining(file) as string,
  })
})

/** As somebody whom permissions hold: not root. */
function openAsNobody(path: string): { code: string; message: string } {
  const [program, ...args] = [
    ...(process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []),
    process.execPath,
    join(import.meta.dirname, 'processes/open.mjs'),
    JSON.stringify({ log: `sqlite:${path}` }),
  ]
  return JSON.parse(execFileSync(program, args, { encoding: 'utf8' })) as { code: string; message: string }
}

test.skipIf(process.platform !== 'linux')('a directory that may only be read is told', () => {
  const directory = join(root, 'read-only')
  mkdirSync(directory, { mode: 0o555 })
  expect(openAsNobody(directory)).toMatchObject({
    code: 'BANYAN_LOG_UNAVAILABLE',
    message: expect.stringContaining(directory) as string,
  })
})

test.skipIf(process.platform !== 'linux')('a file that may only be read is told', async () => {
  const file = join(root, 'read-only.db')
  await makeLog(file)
  chmodSync(file, 0o444)
  expect(openAsNobody(file)).toMatchObject({
    code: 'BANYAN_LOG_UNAVAILABLE',
    message: expect.stringContaining(file) as string,
  })
})
