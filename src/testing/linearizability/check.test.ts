import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SEED, times } from '../../../test/support/effort.js'
import { checkLinearizability, UNKNOWN, type Operation, type SequentialModel } from './index.js'

type Input = { set: number } | 'get'
type Call = Operation<Input, number | undefined>

const register: SequentialModel<number, Input, number | undefined> = {
  init: () => 0,
  step: (value, input, output) => {
    if (input !== 'get') return { ok: true, state: input.set }
    return output === value || output === UNKNOWN ? { ok: true, state: value } : { ok: false }
  },
  key: String,
}

function get(called: number, returned: number, output: number): Call {
  return { process: 'reader', input: 'get', output, called, returned }
}

function set(value: number, called: number, returned?: number): Call {
  const call = { process: 'writer', input: { set: value }, called }
  return returned === undefined ? call : { ...call, output: undefined, returned }
}

/** Every order of every choice of operations, as the definition says it. */
function isLinearizable(history: readonly Call[]): boolean {
  const goesOn = (state: number, left: readonly Call[]): boolean => {
    if (left.every(({ returned }) => returned === undefined)) return true
    return left.some((next) => {
      if (left.some((other) => (other.returned ?? Infinity) < next.called)) return false
      const step = register.step(state, next.input, next.returned === undefined ? UNKNOWN : next.output)
      const rest = left.filter((other) => other !== next)
      return step.ok && goesOn(step.state, rest)
    })
  }
  return goesOn(0, history)
}

const call: fc.Arbitrary<Call> = fc
  .record({
    input: fc.oneof(fc.constant('get' as const), fc.record({ set: fc.integer({ min: 0, max: 2 }) })),
    output: fc.integer({ min: 0, max: 2 }),
    called: fc.integer({ min: 0, max: 12 }),
    took: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined, freq: 4 }),
  })
  .map(({ input, output, called, took }) => {
    if (took === undefined) return { process: 'p', input, called }
    const returned = called + took
    return { process: 'p', input, output: input === 'get' ? output : undefined, called, returned }
  })

describe('checkLinearizability', () => {
  it('says what trying every order says', () => {
    const verdicts = { linearizable: 0, violated: 0, unknown: 0 }
    fc.assert(
      fc.property(fc.array(call, { maxLength: 7 }), (history) => {
        const { verdict, ok, summary } = checkLinearizability(register, history)
        verdicts[verdict]++
        expect(ok, summary).toBe(isLinearizable(history))
      }),
      { numRuns: times(3000), seed: SEED },
    )
    expect(verdicts.linearizable).toBeGreaterThan(0)
    expect(verdicts.violated).toBeGreaterThan(0)
    expect(verdicts.unknown).toBe(0)
  })

  it('explains a violation by an order up to the first answer that does not fit', () => {
    fc.assert(
      fc.property(fc.array(call, { maxLength: 8 }), (history) => {
        const found = checkLinearizability(register, history)
        if (found.verdict !== 'violated') return
        const { unexplained, order, state, concurrent } = found.violation
        const until = unexplained.returned
        // Whatever returned before it is explained, so it is right if nobody knew the answers of the rest.
        const before = history
          .filter(({ called }) => called < until)
          .map((each) => {
            if ((each.returned ?? Infinity) < until) return each
            return { process: each.process, input: each.input, called: each.called }
          })
        expect(isLinearizable(before)).toBe(true)
        let reached = 0
        for (const { input, output, returned } of order) {
          const step = register.step(reached, input, (returned ?? Infinity) > until ? UNKNOWN : output)
          expect(step.ok).toBe(true)
          if (step.ok) reached = step.state
        }
        expect(reached).toBe(state)
        expect(order).not.toContain(unexplained)
        expect(concurrent).not.toContain(unexplained)
        for (const each of history) if ((each.returned ?? Infinity) < until) expect(order).toContain(each)
      }),
      { numRuns: times(1000), seed: SEED },
    )
  })

  it('takes operations that touch for concurrent', () => {
    expect(checkLinearizability(register, [set(1, 0, 5), get(5, 6, 0)]).ok).toBe(true)
    expect(checkLinearizability(register, [set(1, 0, 5), get(5.001, 6, 0)]).ok).toBe(false)
  })

  it('lets a call without an answer take effect late, early or never', () => {
    const unanswered = set(1, 0)
    expect(checkLinearizability(register, [unanswered, get(1, 2, 1), get(3, 4, 1)]).ok).toBe(true)
    expect(checkLinearizability(register, [unanswered, get(1, 2, 0), get(99, 100, 1)]).ok).toBe(true)
    expect(checkLinearizability(register, [unanswered, get(1, 2, 0), get(99, 100, 0)]).ok).toBe(true)
  })

  it('lets it take effect once, and not before it was called', () => {
    const again = [set(1, 0), get(1, 2, 1), set(2, 3, 4), get(5, 6, 2), get(7, 8, 1)]
    expect(checkLinearizability(register, again).ok).toBe(false)
    expect(checkLinearizability(register, [get(0, 1, 1), set(1, 2)]).ok).toBe(false)
  })

  it('finds no violation in a history without operations', () => {
    expect(checkLinearizability(register, []).summary).toBe('linearizable: 0 operations in 1 part, 0 steps')
  })

  it('says that it does not know where the limit is too low', () => {
    // All at the same time: whether some order ends with 99 is not seen before all have been tried.
    const sets = Array.from({ length: 12 }, (_, value) => set(value + 1, value, 100 - value))
    const reads = Array.from({ length: 12 }, (_, value) => get(value, 100 - value, value + 1))
    const history = [...sets, ...reads, get(101, 102, 99)]
    const found = checkLinearizability(register, history, { limit: 2000 })
    expect(found).toMatchObject({ ok: false, verdict: 'unknown', undecided: [''] })
    expect(found.steps).toBeLessThanOrEqual(2000)
    expect(found.summary).toBe(
      'unknown: 25 operations in 1 part, of which 1 took more than the limit of 2000 steps allows',
    )
    expect(checkLinearizability(register, history.slice(0, -1)).verdict).toBe('linearizable')
  })

  it('finds what is wrong in one part though another takes too long', () => {
    const hard = Array.from({ length: 14 }, (_, value) => [
      set(value + 1, value, 100 - value),
      get(value, 100 - value, value + 1),
    ]).flat()
    const easy = [set(1, 0, 1), get(2, 3, 0)]
    const parts: [string, Call[]][] = [
      ['hard', [...hard, get(101, 102, 99)]],
      ['easy', [...easy, ...Array.from({ length: 40 }, (_, at) => get(10 + at, 10.5 + at, 1))]],
    ]
    const model = { ...register, partition: () => parts }
    const found = checkLinearizability(
      model,
      parts.flatMap(([, part]) => part),
      { limit: 5000 },
    )
    expect(found).toMatchObject({ verdict: 'violated', violation: { partition: 'easy' } })
  })

  it('is quick however long a history is of which little is under way at once', () => {
    const history = Array.from({ length: 50_000 }, (_, at) =>
      at % 2 === 0 ? set(at, at, at + 1.5) : get(at, at + 0.2, at - 1),
    )
    expect(checkLinearizability(register, history).steps).toBeLessThan(200_000)
  })

  it('is quick though many calls have no answer, which others have overwritten', () => {
    const history = Array.from({ length: 200 }, (_, at) => [
      ...(at % 8 === 0 ? [set(10_000 + at, at)] : []),
      set(at, at + 0.1, at + 0.5),
      get(at + 0.6, at + 0.8, at),
    ]).flat()
    expect(checkLinearizability(register, history)).toMatchObject({ verdict: 'linearizable' })
    const wrong = checkLinearizability(register, [...history, get(201, 202, 12)])
    expect(wrong.verdict).toBe('violated')
    expect(wrong.steps).toBeLessThan(500_000)
  })

  it('prints a violation that people can read', () => {
    const history = [set(1, 0, 1.25), set(2, 2, 3), set(7, 2.5), set(8, 3), get(4, 5.5, 1)]
    expect(checkLinearizability(register, history).summary).toBe(
      [
        'not linearizable: 5 operations',
        'no order of the operations explains this answer (times in ms):',
        "   4 to 5.5  reader  'get' -> 1",
        'an order that explains the answers before:',
        '  0 to 1.25  writer  { set: 1 } -> undefined',
        '     2 to 3  writer  { set: 2 } -> undefined',
        'which leaves: 2',
        'called before that answer, without effect in this order:',
        '   2.5 to ?  writer  { set: 7 } -> no answer',
        '     3 to ?  writer  { set: 8 } -> no answer',
      ].join('\n'),
    )
  })

  it('refuses times that cannot be, and options that it does not know', () => {
    for (const wrong of [get(2, 1, 0), get(NaN, 1, 0), get(1, NaN, 0)])
      expect(() => checkLinearizability(register, [wrong])).toThrow(
        expect.objectContaining({ code: 'BANYAN_INVALID_HISTORY' }),
      )
    for (const wrong of [null, {}, [{}], [null]])
      expect(() => checkLinearizability(register, wrong as never)).toThrow(
        expect.objectContaining({ code: 'BANYAN_INVALID_HISTORY' }),
      )
    expect(() => checkLinearizability(register, [], { limits: 1 } as never)).toThrow('did you mean `limit`')
    expect(() => checkLinearizability(register, [], { limit: 0 })).toThrow('limit must be')
  })
})
