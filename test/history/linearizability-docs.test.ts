import { describe, expect, it } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const page = 'testing-linearizability.md'

/** Without times, which are others each time. */
function plain(text: string): string {
  return text.replace(/ +[\d.]+ to [\d.]+ /g, ' T ')
}

describe('the page of linearizability', () => {
  it.each([
    ['finds what two have taken', 0],
    ['knows what may have been done', 1],
    ['checks a coordinator', 2],
  ])('%s as it says', { timeout: 60_000 }, async (_name, index) => {
    expect(plain(await runSnippet(page, { index }))).toBe(plain(blockOf(page, 'text', index)))
  })
})
