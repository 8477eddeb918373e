import Database from 'better-sqlite3'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openLog, type EventLog } from '../../../events/index.js'
import { restoreSqliteLog } from '../restore.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-backup-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

function append(log: EventLog, number: number): Promise<unknown> {
  const events = [{ type: 'Counted', data: { number } }]
  return log.append({
    id: `c${number}`,
    streams: [
      { stream: 'left-1', events },
      { stream: 'right-1', events },
    ],
  })
}

async function backupOf(name: string, count = 10): Promise<string> {
  const log = await openLog(`sqlite:${join(root, `${name}-log`)}`)
  for (let number = 0; number < count; number++) await append(log, number)
  const file = join(root, `${name}.backup`)
  await log.backup(file)
  await log.close()
  return file
}

test('a backup that is made while it is appended to has whole commits, from the first on', async () => {
  const log = await openLog(`sqlite:${join(root, 'hot')}`)
  const stop = new AbortController()
  const writing = (async () => {
    for (let number = 0; !stop.signal.aborted; number++) await append(log, number)
  })()
  const copies: string[] = []
  for (let copy = 0; copy < 3; copy++) {
    copies.push(join(root, `hot-${copy}.backup`))
    await log.backup(copies[copy]!)
  }
  stop.abort()
  await writing
  await log.close()
  for (const [index, copy] of copies.entries()) {
    const { file, head, events } = await restoreSqliteLog(copy, join(root, `restored-${index}`))
    expect(file).toBe(join(root, `restored-${index}`, 'events.db'))
    const restored = await openLog(`sqlite:${join(root, `restored-${index}`)}`)
    const numbers: unknown[] = []
    for await (const { data } of restored.read({ stream: 'right-1' }))
      numbers.push((data as { number: number }).number)
    expect(numbers).toEqual(numbers.map((_, number) => number))
    expect(events).toBe(2 * numbers.length)
    expect(await restored.head()).toBe(head)
    for await (const finding of restored.verify()) expect(finding).toMatchObject({ ok: true })
    await restored.close()
  }
})

test('a backup overwrites nothing, and leaves nothing behind', async () => {
  const log = await openLog(`sqlite:${join(root, 'refused')}`)
  const directory = join(root, 'copies')
  mkdirSync(directory)
  writeFileSync(join(directory, 'taken'), 'mine')
  await expect(log.backup(join(directory, 'taken'))).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
  await expect(log.backup(join(directory, 'none/there'))).rejects.toMatchObject({
    code: 'BANYAN_LOG_UNAVAILABLE',
  })
  expect(readdirSync(directory)).toEqual(['taken'])
  await log.close()
})

test('a log is restored only where none is', async () => {
  const backup = await backupOf('occupied')
  const path = join(root, 'occupied-target')
  await restoreSqliteLog(backup, path)
  await expect(restoreSqliteLog(backup, path)).rejects.toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
})

test('what is no backup, or a damaged one, is not restored', async () => {
  const target = join(root, 'never')
  await expect(restoreSqliteLog(join(root, 'nowhere'), target)).rejects.toMatchObject({
    code: 'BANYAN_INVALID_OPTIONS',
  })

  const text = join(root, 'text')
  writeFileSync(text, 'Dear diary, '.repeat(1000))
  await expect(restoreSqliteLog(text, target)).rejects.toMatchObject({ code: 'BANYAN_LOG_CORRUPT' })

  const damaged = await backupOf('damaged')
  const db = new Database(damaged)
  db.exec('DELETE FROM events WHERE position = 3')
  db.close()
  await expect(restoreSqliteLog(damaged, target)).rejects.toMatchObject({
    code: 'BANYAN_LOG_CORRUPT',
    message: expect.stringContaining('missing') as string,
  })

  const changed = await backupOf('changed')
  const events = new Database(changed)
  events.exec(`UPDATE events SET data = replace(data, '1', '2') WHERE position = 3`)
  events.close()
  await expect(restoreSqliteLog(changed, target)).rejects.toMatchObject({
    code: 'BANYAN_LOG_CORRUPT',
    message: expect.stringContaining('not what was appended') as string,
  })

  const newer = await backupOf('newer')
  const other = new Database(newer)
  other.pragma('user_version = 99')
  other.close()
  await expect(restoreSqliteLog(newer, target)).rejects.toMatchObject({ code: 'BANYAN_LOG_FORMAT' })

  // The file of a log that is in use lacks what its write-ahead log has.
  const used = join(root, 'used')
  const log = await openLog(`sqlite:${used}`)
  await append(log, 1)
  await expect(restoreSqliteLog(join(used, 'events.db'), target)).rejects.toMatchObject({
    code: 'BANYAN_INVALID_OPTIONS',
  })
  await log.close()
  expect(existsSync(join(target, 'events.db'))).toBe(false)
  expect(existsSync(target) ? readdirSync(target) : []).toEqual([])
})

test('the file of a closed log can be restored as well', async () => {
  await backupOf('closed')
  const copy = join(root, 'closed.db')
  copyFileSync(join(root, 'closed-log', 'events.db'), copy)
  const { events } = await restoreSqliteLog(copy, join(root, 'from-closed'))
  expect(events).toBe(20)
})
