import { expect, test } from 'vitest'
import { stateText } from './state-text.js'

type Arguments = Parameters<typeof stateText>

test('what the registry has lost, and why it may be behind, is told of each endpoint', () => {
  const endpoint = { url: 'http://10.0.0.1:4001', share: 1 } as Arguments[0]
  const textOf = (registry: object): string =>
    stateText(endpoint, { names: {}, registry } as unknown as Arguments[1], 0)
  expect(textOf({ known: true, doubted: 0 })).toBe('-')
  expect(textOf({ known: true, doubted: 2 })).toBe('the registry has lost 2, kept for a while')
  expect(textOf({ known: true, doubted: 0, problem: 'away' })).toBe('as last registered: away')
})
