import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

test.each([
  ['events/projections.md', 0],
  ['events/projections.md', 1],
  ['events/cqrs.md', 0],
  ['events/cqrs.md', 1],
])('example of %s, number %i, prints what the page says', async (page, index) => {
  expect(await runSnippet(page, { index })).toBe(blockOf(page, 'text', index))
})
