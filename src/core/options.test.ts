import { describe, expect, test } from 'vitest'
import type { Duration } from './duration.js'
import { checkOptions, findProblems, type OptionKind, type OptionTable } from './options.js'

interface Example {
  wait?: Duration
  count?: number
  share?: number
  name?: string
  eager?: boolean
  mode?: 'fast' | 'safe'
  names?: string[]
  nested?: { depth?: number }
  budget?: { ratio?: number } | false
  judge?: () => boolean
}

const table: OptionTable<Example> = {
  wait: { kind: 'duration', min: 10, doc: '' },
  count: { kind: 'number', min: 1, max: 5, integer: true, doc: '' },
  share: { kind: 'number', min: 0, doc: '' },
  name: { kind: 'string', doc: '' },
  eager: { kind: 'boolean', doc: '' },
  mode: { kind: 'choice', values: ['fast', 'safe'], doc: '' },
  names: { kind: 'list', of: { kind: 'string', doc: '' }, doc: '' },
  nested: { kind: 'group', options: { depth: { kind: 'number', doc: '' } }, doc: '' },
  budget: {
    kind: 'either',
    of: [
      { kind: 'choice', values: [false], doc: '' },
      { kind: 'group', options: { ratio: { kind: 'number', doc: '' } }, doc: '' },
    ],
    doc: '',
  },
  judge: { kind: 'code', type: 'function', doc: '' },
}

describe('options', () => {
  test('that are all right raise nothing', () => {
    const good: Example[] = [
      {},
      { wait: '10ms', count: 5, share: 0.5, name: '', eager: false, mode: 'safe', names: [] },
      { names: ['a'], nested: { depth: -1 }, budget: { ratio: 2 }, judge: () => true },
      { budget: false, nested: {} },
    ]
    for (const options of good) expect(() => checkOptions('example', table, options)).not.toThrow()
  })

  test('that are undefined count as absent', () => {
    expect(findProblems(table, { wait: undefined, nested: undefined })).toEqual([])
  })

  test.each<[unknown, string]>([
    [
      { wait: '9ms' },
      'wait must be a number of milliseconds or text such as "250ms", "5s", "2m", at least 10ms, got "9ms"',
    ],
    [{ wait: 'soon' }, 'got "soon"'],
    [{ count: 0 }, 'count must be a whole number from 1 to 5, got 0'],
    [{ count: 1.5 }, 'count must be a whole number from 1 to 5, got 1.5'],
    [{ count: NaN }, 'got NaN'],
    [{ share: -1 }, 'share must be a number of at least 0, got -1'],
    [{ share: '1' }, 'share must be a number of at least 0, got "1"'],
    [{ name: 5 }, 'name must be text, got 5'],
    [{ eager: 'yes' }, 'eager must be true or false, got "yes"'],
    [{ mode: 'slow' }, 'mode must be one of "fast", "safe", got "slow"'],
    [{ names: 'a' }, 'names must be a list, each entry text, got "a"'],
    [{ names: ['a', 7] }, 'names.1 must be text, got 7'],
    [{ nested: { dept: 1 } }, 'nested.dept is not an option, did you mean `depth`?'],
    [{ nested: null }, 'nested must be an object of options, got null'],
    [{ budget: { ratio: 'x' } }, 'budget.ratio must be a number, got "x"'],
    [{ budget: true }, 'budget must be false, or an object of options, got true'],
    [{ judge: {} }, 'judge must be a function, got {}'],
    [{ naem: 'x' }, 'naem is not an option, did you mean `name`?'],
    [{ unheardOf: 1 }, 'unheardOf is not an option'],
    [[], 'must be an object of options, got []'],
  ])('%j: %s', (options, message) => {
    expect(() => checkOptions('example', table, options as Example)).toThrow(message)
  })

  test('named like what every object has are unknown too', () => {
    expect(() => checkOptions('example', table, { toString: 1 } as never)).toThrow(
      'toString is not an option',
    )
    expect(findProblems(table, JSON.parse('{ "__proto__": 1 }'))).toHaveLength(1)
  })

  test('are checked all at once, and the error has a code', () => {
    const check = (): void => checkOptions('example', table, { count: 9, nmae: 'x' } as Example)
    expect(check).toThrow('example: count must be a whole number from 1 to 5, got 9; nmae is not an option')
    expect(check).toThrow(expect.objectContaining({ code: 'BANYAN_INVALID_OPTIONS' }))
  })

  test('have problems with a path into the value', () => {
    const paths = findProblems(table, { names: [1], nested: { depth: 'x' } }).map(({ path }) => path)
    expect(paths).toEqual([
      ['names', 0],
      ['nested', 'depth'],
    ])
  })

  test.each<[OptionKind, unknown]>([
    [{ kind: 'code', type: 'object', doc: '' }, null],
    [{ kind: 'code', type: 'object', doc: '' }, 'text'],
    [{ kind: 'boolean', doc: '' }, null],
    [{ kind: 'choice', values: ['a'], doc: '' }, ['a']],
  ])('%j does not take %j', (kind, value) => {
    expect(findProblems({ it: kind }, { it: value })).toHaveLength(1)
  })
})
