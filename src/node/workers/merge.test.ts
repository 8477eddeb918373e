import { describe, expect, test } from 'vitest'
import { mergeBreakers, mergeMetrics, mergeStates } from './merge.js'

describe('several workers as one', () => {
  const endpoint = (url: string, more: object) => ({
    url,
    weight: 2,
    requests: 0,
    rate: 0,
    ready: true,
    ...more,
  })

  test('add up what they count, and tell the worst of what they measure', () => {
    const merged = mergeStates([
      { connections: 3, routes: { a: { requests: 5, rate: 1.5, p99: 20, failureRate: 0.5 } } },
      { connections: 4, routes: { a: { requests: 7, rate: 0.5, p99: undefined, failureRate: 0 } } },
    ])
    expect(merged).toEqual({
      connections: 7,
      routes: { a: { requests: 12, rate: 2, p99: 20, failureRate: 0.5 } },
    })
  })

  test('have each endpoint once, wherever it stands, ready while it is for one of them', () => {
    const merged = mergeStates([
      { endpoints: [endpoint('a', { requests: 1, ready: false }), endpoint('b', { requests: 2 })] },
      { endpoints: [endpoint('b', { requests: 3 }), endpoint('a', { requests: 4 })] },
    ])
    expect(merged.endpoints).toEqual([endpoint('a', { requests: 5 }), endpoint('b', { requests: 5 })])
  })

  test('keep the numbers of a breaker together: those of the worker that it is worst for', () => {
    const closed = { state: 'closed', failures: 1, calls: 90 }
    const open = { state: 'open', failures: 9, calls: 10 }
    expect(mergeBreakers([closed, open, closed])).toBe(open)
    expect(mergeStates([{ breaker: closed }, { breaker: open }, { breaker: undefined }])).toEqual({
      breaker: open,
    })
  })

  test('have what is missing in some from the others', () => {
    expect(
      mergeStates<object>([
        { a: undefined, list: [1] },
        { b: { c: 1 }, list: [1, 2] },
      ]),
    ).toEqual({
      a: undefined,
      b: { c: 1 },
      list: [1, 2],
    })
  })

  test('leave to the supervisor the metrics that it has itself', () => {
    const metric = (name: string, value: number) => ({ name, values: [{ value }] })
    const merged = mergeMetrics(
      [metric('generation', 3)],
      [[metric('generation', 1), metric('requests', 5)], [metric('requests', 6)]],
    )
    expect(merged).toEqual([[metric('requests', 5)], [metric('requests', 6)], [metric('generation', 3)]])
  })
})
