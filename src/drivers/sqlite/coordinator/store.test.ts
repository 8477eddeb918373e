import Database from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { connect } from './connect.js'
import { identityOf } from './place.js'
import { only } from './range.js'
import { Store } from './store.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-store-'))
afterEach(() => rmSync(root, { recursive: true, force: true }))

test('a key may have had a change that must outlive a loss of power if that change is not kept any more', () => {
  const file = join(root, 'store.db')
  const { db, epoch } = connect(Database, file, { boot: 'boot', identityOf })
  const store = new Store(db, file, epoch, { boot: 'boot', now: () => 0 })
  const before = store.head()
  store.put('k', 'v', 'any', undefined)
  expect(store.touched(only('k'), before)).toBe(true)
  expect(store.touched(only('other'), before)).toBe(false)
  // As when there were many bytes of changes.
  db.exec('UPDATE store SET revision = revision + 1, compacted = revision + 1; DELETE FROM changes')
  expect(store.touched(only('k'), before)).toBe(true)
  expect(store.touched(only('k'), store.head())).toBe(false)
  db.close()
})
