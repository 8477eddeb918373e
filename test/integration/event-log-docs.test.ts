import { expect, it } from 'vitest'
import { runSnippet } from '../support/snippet.js'

it('the example of the event log does what it says', async () => {
  expect(await runSnippet('events/event-log.md')).toBe(
    [
      `[`,
      `  { stream: 'order-1', revision: 0 },`,
      `  { stream: 'stock-apples', revision: 0 }`,
      `]`,
      `true`,
      `[ { stream: 'order-1', expected: 0, actual: 1 } ]`,
      `0 OrderPlaced { total: 30 }`,
      `1 OrderPaid { by: 'card' }`,
      `followed order-1 OrderPlaced`,
      `followed order-1 OrderPaid`,
      ``,
    ].join('\n'),
  )
})
