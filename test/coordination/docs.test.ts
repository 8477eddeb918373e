import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/coordinator.md'

test('the example of the page of the coordinator prints what it says', async () => {
  expect(await runSnippet(PAGE)).toBe(blockOf(PAGE, 'text'))
})
