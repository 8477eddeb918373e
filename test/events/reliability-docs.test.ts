import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'events/reliability.md'

test.each([0, 1])('example %i of the page of reliability prints what the page says', async (index) => {
  expect(await runSnippet(PAGE, { index })).toBe(blockOf(PAGE, 'text', index))
})
