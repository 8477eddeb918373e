import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

test.each([
  ['lanes by the shard map', 0],
  ['leader-elected projections', 1],
  ['sharded projections', 2],
])('the example of %s prints what it says', async (_, index) => {
  const path = 'coordination/composition.md'
  expect(await runSnippet(path, { index })).toBe(blockOf(path, 'text', index))
})
