import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

test.each(['events/types.md', 'events/personal-data.md'])(
  'the example of %s prints what the page says',
  async (page) => {
    const env = { MASTER_KEY: 'ab'.repeat(32) }
    expect(await runSnippet(page, { env })).toBe(blockOf(page, 'text'))
  },
)
