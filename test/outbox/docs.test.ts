import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'events/outbox.md'
const missing = postgresMissing()
const server = PostgresServer.ofSuite()

test.skipIf(missing).each([
  ['pg', 0, 0],
  ['Kysely', 1, 1],
  ['an inbox', 4, 3],
])('the example with %s prints what the page says', async (_with, index, output) => {
  const url = await server.database()
  const edit = (code: string): string => code.replace('postgres://app:secret@localhost/shop', url)
  expect(await runSnippet(PAGE, { index, edit })).toBe(blockOf(PAGE, 'text', output))
})

test('the example with SQLite prints what the page says', async () => {
  expect(await runSnippet(PAGE, { index: 2 })).toBe(blockOf(PAGE, 'text', 2))
})
