import { expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/coordinator.md'

test('the example of the page of the coordinator prints what it says', async () => {
  expect(await runSnippet(PAGE)).toBe(blockOf(PAGE, 'text'))
})

const FENCING = 'coordination/fencing.md'

test.each([
  ['an event log', 0, 0],
  ['a table of SQLite', 1, 2],
  ['HTTP', 3, 4],
  ['a key of a coordinator', 4, 5],
])('the example of fencing with %s prints what the page says', async (_with, index, output) => {
  const port = String(await freePort())
  const edit = (code: string): string => code.replaceAll('8080', port)
  expect(await runSnippet(FENCING, { index, edit })).toBe(blockOf(FENCING, 'text', output))
})
