import Database from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { restoreSqliteLog } from '../../src/drivers/sqlite/restore.js'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'events/sqlite.md'

const cwd = mkdtempSync(join(tmpdir(), 'banyan-sqlite-docs-'))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

test('the examples of the page of SQLite do what they say', async () => {
  expect(await runSnippet(PAGE, { cwd })).toBe('order-1 0 OrderPlaced\n')
  expect(await restoreSqliteLog(join(cwd, 'orders.backup'), join(cwd, 'restored'))).toMatchObject({
    events: 1,
  })

  const db = new Database(join(cwd, 'data/events.db'), { readonly: true })
  const rows = db.prepare(blockOf(PAGE, 'sql')).all()
  db.close()
  expect(rows).toEqual([
    expect.objectContaining({ position: 1, name: 'order-1', type: 'OrderPlaced', data: '{"total":30}' }),
  ])
})
