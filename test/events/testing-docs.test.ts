import { describe, expect, it } from 'vitest'
import { blockOf } from '../support/example.js'
import { runSnippet } from '../support/snippet.js'

const page = 'events/testing.md'

/** Without what may differ from one machine, or one version, to the next. */
function plain(text: string): string {
  return text.replace(/seed \d+: \d+/, 'seed S: N').replace(/at [\d.]+ ms/g, 'at T ms')
}

describe('the page of testing', () => {
  it('runs the conformance suite as it says', { timeout: 60_000 }, async () => {
    const printed = await runSnippet(page, { env: { NODE_OPTIONS: '--test-reporter=tap' } })
    expect(printed).toMatch(/^# fail 0$/m)
    expect(Number(/^# pass (\d+)$/m.exec(printed)?.[1])).toBeGreaterThan(50)
    expect(printed).toContain('# SKIP no transactions')
  })

  it('simulates as it says', { timeout: 60_000 }, async () => {
    expect(plain(await runSnippet(page, { index: 1 }))).toBe(plain(blockOf(page, 'text')))
  })

  it('checks a history as it says', { timeout: 60_000 }, async () => {
    expect(plain(await runSnippet(page, { index: 2 }))).toBe(plain(blockOf(page, 'text', 1)))
  })
})
