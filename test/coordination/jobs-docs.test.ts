import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/jobs.md'

test.each([0, 1, 2])('example %i of the page of jobs prints what it says', async (index) => {
  expect(await runSnippet(PAGE, { index })).toBe(blockOf(PAGE, 'text', index))
})
