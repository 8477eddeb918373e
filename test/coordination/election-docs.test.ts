import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

test.each([
  ['leader-election', 0],
  ['leader-election', 1],
  ['locks', 0],
  ['locks', 1],
  ['locks', 2],
  ['semaphores', 0],
])('an example of the page %s prints what it says (%i)', async (page, index) => {
  const path = `coordination/${page}.md`
  expect(await runSnippet(path, { index })).toBe(blockOf(path, 'text', index))
})
