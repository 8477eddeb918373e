import { expect, it } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

it('the example of the page prints what it says', async () => {
  const page = 'coordination/data-sharding.md'
  expect(await runSnippet(page)).toBe(blockOf(page, 'text'))
})
