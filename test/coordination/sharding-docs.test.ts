import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

test.each([
  ['placement', 0],
  ['hot-shards', 0],
  ['hot-shards', 1],
  ['sharding', 0],
  ['sharding', 1],
])('an example of the page %s prints what it says (%i)', async (page, index) => {
  const path = `coordination/${page}.md`
  expect(await runSnippet(path, { index })).toBe(blockOf(path, 'text', index))
})
