import { expect, test } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const PAGE = 'coordination/testing-controllers.md'

test.each([0, 1, 2, 3])(
  'an example of the page on testing controllers prints what it says (%i)',
  async (index) => {
    expect(await runSnippet(PAGE, { index })).toBe(blockOf(PAGE, 'text', index))
  },
)
