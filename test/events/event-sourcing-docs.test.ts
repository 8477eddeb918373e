import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'events/event-sourcing.md'

test.each([0, 1, 2])('example %i of the page of event sourcing prints what the page says', async (index) => {
  expect(await runSnippet(PAGE, { index })).toBe(blockOf(PAGE, 'text', index))
})
