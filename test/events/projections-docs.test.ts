import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { runSnippet } from '../support/snippet.js'

test.each([
  ['events/projections.md', 0],
  ['events/projections.md', 1],
  ['events/projections.md', 3],
  ['events/cqrs.md', 0],
  ['events/cqrs.md', 1],
])('example of %s, number %i, prints what the page says', async (page, index) => {
  expect(await runSnippet(page, { index })).toBe(blockOf(page, 'text', index))
})

test.skipIf(postgresMissing())(
  'the example of inline projections prints what the page says',
  async () => {
    const server = await PostgresServer.start()
    try {
      const edit = (code: string): string =>
        code.replace('postgres://app:secret@localhost/shop', server.url())
      expect(await runSnippet('events/projections.md', { index: 2, edit })).toBe(
        blockOf('events/projections.md', 'text', 2),
      )
    } finally {
      await server.stop()
    }
  },
  60_000,
)
