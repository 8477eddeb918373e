import Database from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/sqlite.md'

const cwd = mkdtempSync(join(tmpdir(), 'banyan-coordination-docs-'))
afterAll(() => rmSync(cwd, { recursive: true, force: true }))

test('the examples of the page of coordination on SQLite print what they say', async () => {
  expect(await runSnippet(PAGE, { cwd })).toBe(blockOf(PAGE, 'text'))

  const db = new Database(join(cwd, 'data/coordination.db'), { readonly: true })
  const rows = db.prepare(blockOf(PAGE, 'sql')).all()
  expect(db.pragma('application_id', { simple: true })).toBe(0x426e7943)
  db.close()
  expect(rows).toEqual([expect.objectContaining({ key: 'config/limit', value: '100', lease: null })])
})
