import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { rightHistory, Store, type Bug } from '../../../test/support/coordinator-history.js'
import { SEED, times } from '../../../test/support/effort.js'
import { seededRandom } from '../../core/random.js'
import {
  checkLinearizability,
  checkRevisions,
  coordinatorModel,
  type AnsweredOperation,
  type CoordinatorInput,
  type CoordinatorOperation,
  type CoordinatorOutput,
} from './index.js'

type Answered = AnsweredOperation<CoordinatorInput, CoordinatorOutput>
type Expected = 'any' | 'absent' | number

const get = (): CoordinatorInput => ({ op: 'get', key: 'a' })
const put = (value: string, expected: Expected = 'any', lease?: string): CoordinatorInput => ({
  op: 'put',
  key: 'a',
  value,
  expected,
  ...(lease !== undefined && { lease }),
})
const remove = (expected: Expected = 'any'): CoordinatorInput => ({ op: 'delete', key: 'a', expected })

const absent: CoordinatorOutput = { is: 'absent' }
const done = (revision?: number): CoordinatorOutput => ({
  is: 'done',
  ...(revision !== undefined && { revision }),
})
const conflict = (actual: number | 'absent'): CoordinatorOutput => ({ is: 'conflict', actual })
const present = (value: string, revision: number, created?: number): CoordinatorOutput => ({
  is: 'present',
  value,
  revision,
  ...(created !== undefined && { created }),
})

type Line = readonly [CoordinatorInput, CoordinatorOutput?]

/** One after the other; what has no output is not answered. */
function sequence(...lines: Line[]): CoordinatorOperation[] {
  return lines.map(([input, output], at) => ({
    process: 'p',
    input,
    called: 2 * at,
    ...(output && { output, returned: 2 * at + 1 }),
  }))
}

const verdictOf = (history: CoordinatorOperation[]): string =>
  checkLinearizability(coordinatorModel, history).verdict

describe('the model of a coordinator', () => {
  const right: Record<string, Line[]> = {
    'a put, and what a get tells of it': [
      [put('x'), done(4)],
      [get(), present('x', 4, 4)],
    ],
    'a put over another one': [
      [put('x', 'absent'), done(1)],
      [put('y', 1), done(3)],
      [get(), present('y', 3, 1)],
    ],
    conflicts: [
      [put('x', 7), conflict('absent')],
      [remove(7), conflict('absent')],
      [put('x'), done(2)],
      [put('y', 'absent'), conflict(2)],
      [put('y', 1), conflict(2)],
      [remove(1), conflict(2)],
      [get(), present('x', 2)],
    ],
    'a conflict that tells what is there, and a put that tells when the key was made': [
      [put('x'), done(1)],
      [put('y'), { is: 'done', revision: 2, created: 1 }],
      [put('z', 1), { is: 'conflict', actual: { value: 'y', revision: 2, created: 1 } }],
    ],
    'a deletion that expects nothing': [
      [remove('absent'), done()],
      [put('x'), done(1)],
      [remove('absent'), conflict(1)],
    ],
    'a key that is made again': [
      [put('x'), done(1)],
      [remove(1), done(2)],
      [get(), absent],
      [put('y', 'absent'), done(5)],
      [get(), present('y', 5, 5)],
    ],
    'a deletion of nothing, told or not': [
      [remove(), done()],
      [remove(), conflict('absent')],
    ],
    'an unanswered put that had an effect': [
      [put('x')],
      [get(), present('x', 9, 9)],
      [put('y', 9), done(10)],
    ],
    'an unanswered put that had none': [[put('x', 'absent')], [get(), absent], [put('y', 'absent'), done(1)]],
    'an unanswered put that had an effect late': [
      [put('x')],
      [get(), absent],
      [put('y'), done(1)],
      [get(), present('y', 1)],
      [get(), present('x', 2, 1)],
    ],
    'an unanswered put that is only seen by when the key was made': [
      [put('x')],
      [put('y'), done(8)],
      [get(), present('y', 8, 5)],
    ],
    'an unanswered put that a conflict tells of': [
      [put('x', 'absent')],
      [put('y', 'absent'), conflict(3)],
      [get(), present('x', 3)],
    ],
    'an unanswered deletion': [[put('x'), done(1)], [remove(1)], [get(), present('x', 1)], [get(), absent]],
    'a leased key that vanishes': [
      [put('x', 'absent', 'L'), done(1)],
      [get(), present('x', 1)],
      [get(), absent],
      [put('y', 'absent', 'M'), done(3)],
    ],
    'a leased key that stays': [
      [put('x', 'any', 'L'), done(1)],
      [get(), present('x', 1)],
    ],
    'a lease that ends when the history says': [
      [put('x', 'any', 'L'), done(1)],
      [{ op: 'expire', key: 'a', lease: 'L' }, done()],
      [get(), absent],
    ],
  }
  for (const [name, lines] of Object.entries(right))
    it(`allows ${name}`, () => {
      const { summary } = checkLinearizability(coordinatorModel, sequence(...lines))
      expect(summary).toMatch(/^linearizable/)
    })

  const wrong: Record<string, Line[]> = {
    'a stale read': [
      [put('x'), done(1)],
      [put('y'), done(2)],
      [get(), present('x', 1)],
    ],
    'a read of what is deleted': [
      [put('x'), done(1)],
      [remove(), done(2)],
      [get(), present('x', 1)],
    ],
    'a lost update': [
      [put('x'), done(1)],
      [put('y', 1), done(2)],
      [put('z', 1), done(3)],
    ],
    'two creations': [
      [put('x', 'absent'), done(1)],
      [put('y', 'absent'), done(2)],
    ],
    'two deletions of one revision': [
      [put('x'), done(1)],
      [remove(1), done(2)],
      [remove(1), done(3)],
    ],
    'a revision that comes again': [
      [put('x'), done(1)],
      [put('y'), done(1)],
    ],
    'a revision that falls': [
      [put('x'), done(5)],
      [put('y'), done(4)],
    ],
    'a revision that falls over an absence': [
      [put('x'), done(5)],
      [remove(), done()],
      [put('y'), done(5)],
    ],
    'a revision of a deletion that comes again': [
      [put('x'), done(5)],
      [remove(), done(6)],
      [put('y'), done(6)],
    ],
    'a value out of nowhere': [
      [put('x'), done(1)],
      [get(), present('y', 1)],
    ],
    'a revision out of nowhere': [
      [put('x'), done(1)],
      [get(), present('x', 2)],
    ],
    'a key out of nowhere': [[get(), present('x', 1)]],
    'another time of creation': [
      [put('x'), done(1)],
      [put('y'), done(2)],
      [get(), present('y', 2, 2)],
    ],
    'a conflict without a reason': [
      [put('x'), done(1)],
      [put('y', 1), conflict(1)],
    ],
    'a conflict with what is not there': [
      [put('x'), done(1)],
      [put('y', 3), conflict(2)],
    ],
    'a conflict with a value that is not there': [
      [put('x'), done(1)],
      [put('y', 'absent'), { is: 'conflict', actual: { value: 'z', revision: 1 } }],
    ],
    'a put that tells another time of creation': [
      [put('x'), done(1)],
      [put('y'), { is: 'done', revision: 2, created: 2 }],
    ],
    'a deletion that expects nothing and finds something': [
      [put('x'), done(1)],
      [remove('absent'), done()],
    ],
    'a conflict of what expects anything': [[put('x'), conflict('absent')]],
    'an absence that nothing has made': [
      [put('x'), done(1)],
      [get(), absent],
    ],
    'a deletion of nothing that has a revision': [[remove(), done(1)]],
    'an unanswered put with two revisions': [[put('x')], [get(), present('x', 3)], [get(), present('x', 4)]],
    'an unanswered put with an old revision': [[put('x'), done(5)], [put('y')], [get(), present('y', 5)]],
    'an unanswered put that cannot have been done': [
      [put('x'), done(1)],
      [put('y', 'absent')],
      [get(), present('y', 2)],
    ],
    'a put before an unanswered one that it has seen the creation of': [
      [put('x')],
      [put('y'), done(8)],
      [get(), present('y', 8, 9)],
    ],
    'a leased key that comes back': [
      [put('x', 'any', 'L'), done(1)],
      [get(), absent],
      [get(), present('x', 1)],
    ],
    'a vanished key whose lease another put has taken away': [
      [put('x', 'any', 'L'), done(1)],
      [put('y'), done(2)],
      [get(), absent],
    ],
    'a leased key that outlives what the history says': [
      [put('x', 'any', 'L'), done(1)],
      [{ op: 'expire', key: 'a', lease: 'L' }, done()],
      [get(), present('x', 1)],
    ],
    'a leased key that vanishes before the history says': [
      [put('x', 'any', 'L'), done(1)],
      [get(), absent],
      [{ op: 'expire', key: 'a', lease: 'L' }],
    ],
    'the answer of something else': [[get(), done(1)]],
  }
  for (const [name, lines] of Object.entries(wrong))
    it(`finds ${name}`, () => {
      expect(verdictOf(sequence(...lines))).toBe('violated')
    })

  it('allows in any order what was under way at the same time', () => {
    const during = { called: 0, returned: 10 }
    const history: CoordinatorOperation[] = [
      { process: 'p1', input: put('x', 'absent'), output: conflict(3), ...during },
      { process: 'p2', input: put('y', 'absent'), output: done(3), ...during },
      { process: 'p3', input: get(), output: absent, ...during },
    ]
    expect(verdictOf(history)).toBe('linearizable')
    expect(verdictOf([...history, { ...history[2]!, called: 11, returned: 12 } as Answered])).toBe('violated')
  })

  it('finds nothing in histories of a true store, whatever became of calls without an answer', () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const history = rightHistory(seed, { unanswered: 0.1, leased: 0.3 })
        expect(checkLinearizability(coordinatorModel, history).summary).toMatch(/^linearizable/)
        expect(checkRevisions(history)).toEqual([])
      }),
      { numRuns: times(200), seed: SEED },
    )
  })

  /** Makes an answer wrong for certain, in a history where everything is answered and no two values are the same. */
  const breaks: Record<string, (output: CoordinatorOutput) => CoordinatorOutput | undefined> = {
    'reads a value that nobody wrote': (output) =>
      output.is === 'present' ? { ...output, value: 'nobody' } : undefined,
    'reads a revision that is none': (output) =>
      output.is === 'present' ? { ...output, revision: output.revision + 0.5 } : undefined,
    'says of a conflict what is not so': (output) =>
      output.is === 'conflict'
        ? { is: 'conflict', actual: { value: 'nobody', revision: 100_000 } }
        : undefined,
    'reads a time of creation that is none': (output) =>
      output.is === 'present' ? { ...output, created: output.created! - 0.5 } : undefined,
  }
  for (const [name, breakIt] of Object.entries(breaks))
    it(`finds a store that ${name}`, () => {
      fc.assert(
        fc.property(fc.integer(), (seed) => {
          const history = rightHistory(seed)
          const random = seededRandom(seed)
          const places = history.flatMap(({ output }, at) => (output && breakIt(output) ? [at] : []))
          fc.pre(places.length > 0)
          const at = places[Math.floor(random.next() * places.length)]!
          const broken = history[at] as Answered
          history[at] = { ...broken, output: breakIt(broken.output)! }
          expect(verdictOf(history)).toBe('violated')
        }),
        { numRuns: times(40), seed: SEED },
      )
    })

  const bugs: Record<string, Bug> = {
    'reads what was there before': (store, input) => {
      if (input.op !== 'put') return store.apply(input)
      const before = store.apply({ op: 'get', key: input.key })
      const output = store.apply(input)
      if (output.is === 'done') store.late = before
      return output
    },
    'does not look at what is expected': (store, input) =>
      store.apply(input.op === 'put' ? { ...input, expected: 'any' } : input),
    'loses puts': (store, input) => {
      const copy = input.op === 'put' ? store.copy() : undefined
      const output = store.apply(input)
      if (copy) store.become(copy)
      return output
    },
    'makes a key twice': (store, input) =>
      store.apply(input.op === 'put' && input.expected === 'absent' ? { ...input, expected: 'any' } : input),
    'begins with its revisions anew': (store, input) => {
      if (input.op === 'delete') store.become(new Store())
      return store.apply(input)
    },
  }
  for (const [name, bug] of Object.entries(bugs))
    it(`finds a store that now and then ${name}`, () => {
      const seeds = Array.from({ length: times(20) }, (_, at) => SEED + at)
      const found = seeds.filter((seed) => {
        const { verdict } = checkLinearizability(
          coordinatorModel,
          rightHistory(seed, { operations: 200, bug }),
        )
        expect(verdict).not.toBe('unknown')
        return verdict === 'violated'
      })
      // Not every bug shows in every history.
      expect(found.length / seeds.length, `seed ${SEED}`).toBeGreaterThan(0.5)
    })

  it('checks 10,000 operations of 10 processes over 20 keys in few steps', () => {
    const history = rightHistory(SEED, { operations: 10_000, processes: 10, keys: 20 })
    const found = checkLinearizability(coordinatorModel, history)
    expect(found.verdict).toBe('linearizable')
    expect(found.steps).toBeLessThan(200_000)
  })

  it('prints what is wrong so that people see it', () => {
    const history = sequence(
      [put('x', 'absent', 'L'), done(1)],
      [put('y', 1), done(3)],
      [put('z', 3)],
      [get(), present('x', 1, 1)],
    )
    expect(checkLinearizability(coordinatorModel, history).summary).toBe(
      [
        'not linearizable: 5 operations of a',
        'no order of the operations explains this answer (times in ms):',
        '  6 to 7  p        get a -> "x" at 1, created at 1',
        'an order that explains the answers before:',
        '  0 to 1  p        put a = "x" if absent with lease L -> done at 1',
        '  2 to 3  p        put a = "y" if at 1 -> done at 3',
        'which leaves: "y" at 3, created at 1',
        'called before that answer, without effect in this order:',
        '  4 to ?  p        put a = "z" if at 3 -> no answer',
        '  0 to ?  lease L  a vanishes with lease L -> no answer',
      ].join('\n'),
    )
  })
})

describe('checkRevisions', () => {
  const at = (key: string, called: number, output: CoordinatorOutput): CoordinatorOperation => ({
    process: 'p',
    input: output.is === 'present' ? { op: 'get', key } : { op: 'put', key, value: 'x', expected: 'any' },
    output,
    called,
    returned: called + 10,
  })

  it('finds a revision that two keys have', () => {
    expect(checkRevisions([at('a', 0, done(1)), at('b', 0, done(1))])).toEqual([
      'one revision for two changes: put a = "x" -> done at 1 by p (0 to 10 ms); and put b = "x" -> done at 1 by p (0 to 10 ms)',
    ])
  })

  it('finds a change that is not above what was known before it was called', () => {
    expect(checkRevisions([at('a', 0, present('x', 7)), at('b', 11, done(6))])).toEqual([
      'not above a revision that was known before: put b = "x" -> done at 6 by p (11 to 21 ms); after get a -> "x" at 7 by p (0 to 10 ms)',
    ])
    expect(checkRevisions([at('a', 0, conflict(7)), at('b', 11, done(6))])).toHaveLength(1)
  })

  it('finds nothing in what was under way at the same time, nor in rising revisions', () => {
    expect(checkRevisions([at('a', 0, present('x', 7)), at('b', 10, done(6))])).toEqual([])
    expect(checkRevisions([at('a', 0, done(6)), at('b', 11, done(7))])).toEqual([])
  })
})
