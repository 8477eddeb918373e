import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

test.each([
  ['events/pub-sub.md', 0],
  ['events/pub-sub.md', 1],
  ['events/pub-sub.md', 2],
  ['events/event-bus.md', 0],
  ['events/sagas.md', 0],
  ['events/sagas.md', 1],
  ['events/sagas.md', 2],
  ['events/policies.md', 0],
])('example of %s, number %i, prints what the page says', async (page, index) => {
  expect(await runSnippet(page, { index })).toBe(blockOf(page, 'text', index))
})
