import { expect, it } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

it.each([0, 1])('an example of the page prints what it says (%i)', async (index) => {
  const page = 'coordination/data-sharding.md'
  expect(await runSnippet(page, { index })).toBe(blockOf(page, 'text', index))
})
