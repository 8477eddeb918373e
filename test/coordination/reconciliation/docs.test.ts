import { expect, test } from 'vitest'
import { blockOf } from '../../support/example.js'
import { runSnippet } from '../../support/snippet.js'

test('a first controller does what its page says', async () => {
  const path = 'coordination/reconciliation.md'
  expect(await runSnippet(path)).toBe(blockOf(path, 'text', 0))
})
