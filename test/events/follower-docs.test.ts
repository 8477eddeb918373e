import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

test('the example of events/followers.md prints what the page says', async () => {
  expect(await runSnippet('events/followers.md')).toBe(blockOf('events/followers.md', 'text'))
})
