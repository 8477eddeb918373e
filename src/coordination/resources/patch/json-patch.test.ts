import { describe, expect, test } from 'vitest'
import { applyJsonPatch } from './json-patch.js'
import type { Json } from './json.js'

type Example = readonly [name: string, before: Json, patch: Json, after: Json]

describe('examples of appendix A of RFC 6902', () => {
  const examples: readonly Example[] = [
    [
      'A.1 adds a member',
      { foo: 'bar' },
      [{ op: 'add', path: '/baz', value: 'qux' }],
      { baz: 'qux', foo: 'bar' },
    ],
    [
      'A.2 adds an item',
      { foo: ['bar', 'baz'] },
      [{ op: 'add', path: '/foo/1', value: 'qux' }],
      { foo: ['bar', 'qux', 'baz'] },
    ],
    ['A.3 removes a member', { baz: 'qux', foo: 'bar' }, [{ op: 'remove', path: '/baz' }], { foo: 'bar' }],
    [
      'A.4 removes an item',
      { foo: ['bar', 'qux', 'baz'] },
      [{ op: 'remove', path: '/foo/1' }],
      { foo: ['bar', 'baz'] },
    ],
    [
      'A.5 replaces a value',
      { baz: 'qux', foo: 'bar' },
      [{ op: 'replace', path: '/baz', value: 'boo' }],
      { baz: 'boo', foo: 'bar' },
    ],
    [
      'A.6 moves a value',
      { foo: { bar: 'baz', waldo: 'fred' }, qux: { corge: 'grault' } },
      [{ op: 'move', from: '/foo/waldo', path: '/qux/thud' }],
      { foo: { bar: 'baz' }, qux: { corge: 'grault', thud: 'fred' } },
    ],
    [
      'A.7 moves an item',
      { foo: ['all', 'grass', 'cows', 'eat'] },
      [{ op: 'move', from: '/foo/1', path: '/foo/3' }],
      { foo: ['all', 'cows', 'eat', 'grass'] },
    ],
    [
      'A.8 tests values',
      { baz: 'qux', foo: ['a', 2, 'c'] },
      [
        { op: 'test', path: '/baz', value: 'qux' },
        { op: 'test', path: '/foo/1', value: 2 },
      ],
      { baz: 'qux', foo: ['a', 2, 'c'] },
    ],
    [
      'A.10 adds an object',
      { foo: 'bar' },
      [{ op: 'add', path: '/child', value: { grandchild: {} } }],
      { foo: 'bar', child: { grandchild: {} } },
    ],
    [
      'A.11 passes over what it does not know',
      { foo: 'bar' },
      [{ op: 'add', path: '/baz', value: 'qux', xyz: 123 }],
      { foo: 'bar', baz: 'qux' },
    ],
    [
      'A.14 reads ~01 as ~1',
      { '/': 9, '~1': 10 },
      [{ op: 'test', path: '/~01', value: 10 }],
      { '/': 9, '~1': 10 },
    ],
    [
      'A.16 adds an item at the end',
      { foo: ['bar'] },
      [{ op: 'add', path: '/foo/-', value: ['abc', 'def'] }],
      { foo: ['bar', ['abc', 'def']] },
    ],
  ]
  test.each(examples)('%s', (_name, document, patch, after) => {
    const before = structuredClone(document)

    expect(applyJsonPatch(document, patch)).toEqual(after)
    expect(document).toEqual(before)
  })

  const refused: readonly [name: string, before: Json, patch: Json][] = [
    ['A.9 a test that fails', { baz: 'qux' }, [{ op: 'test', path: '/baz', value: 'bar' }]],
    ['A.12 a parent that is not there', { foo: 'bar' }, [{ op: 'add', path: '/baz/bat', value: 'qux' }]],
    ['A.15 a text is no number', { '~1': 10 }, [{ op: 'test', path: '/~01', value: '10' }]],
    ['removes what is not there', { a: 1 }, [{ op: 'remove', path: '/b' }]],
    ['replaces what is not there', { a: 1 }, [{ op: 'replace', path: '/b', value: 1 }]],
    ['an index behind the end', { a: [1] }, [{ op: 'add', path: '/a/2', value: 1 }]],
    ['an index with a leading zero', { a: [1, 2] }, [{ op: 'remove', path: '/a/01' }]],
    ['replaces behind the end', { a: [1] }, [{ op: 'replace', path: '/a/-', value: 2 }]],
    ['moves something into itself', { a: { b: {} } }, [{ op: 'move', from: '/a', path: '/a/b/c' }]],
    ['what every object of JavaScript has', {}, [{ op: 'copy', from: '/constructor', path: '/a' }]],
  ]
  test.each(refused)('refused: %s', (_name, document, patch) => {
    expect(() => applyJsonPatch(document, patch)).toThrow(
      expect.objectContaining({ code: 'BANYAN_PATCH_REFUSED' }),
    )
  })

  const invalid: readonly [name: string, patch: Json][] = [
    ['A.13 an unknown operation', [{ op: 'spam', path: '/baz' }]],
    ['no list', { op: 'remove', path: '/a' }],
    ['no path', [{ op: 'remove' }]],
    ['no pointer', [{ op: 'remove', path: 'a' }]],
    ['a wrong escape', [{ op: 'remove', path: '/a~2' }]],
    ['no value', [{ op: 'add', path: '/a' }]],
    ['no source', [{ op: 'move', path: '/a' }]],
  ]
  test.each(invalid)('invalid: %s', (_name, patch) => {
    expect(() => applyJsonPatch({ a: 1 }, patch)).toThrow(
      expect.objectContaining({ code: 'BANYAN_PATCH_INVALID' }),
    )
  })
})

test('the whole document may be replaced, and a value of null be set', () => {
  expect(
    applyJsonPatch({ a: 1 }, [
      { op: 'replace', path: '', value: { b: 2 } },
      { op: 'add', path: '/c', value: null },
    ]),
  ).toEqual({ b: 2, c: null })
})

test('a patch that doubles the document over and over is refused before it is large', () => {
  const doubling = Array.from({ length: 64 }, () => ({ op: 'copy', from: '/a', path: '/a/-' }))

  expect(() => applyJsonPatch({ a: ['some text'] }, doubling)).toThrow(/copies more than/)
})

test('many operations on a wide object take no longer than a moment', () => {
  const wide = Object.fromEntries(Array.from({ length: 6000 }, (_, number) => [`k${number}`, number]))
  const patch = Array.from({ length: 10_000 }, (_, number) =>
    number % 2 ? { op: 'add', path: '/k1', value: number } : { op: 'remove', path: '/k1' },
  )
  const before = performance.now()

  expect(applyJsonPatch(wide, patch)).toEqual({ ...wide, k1: 9999 })
  expect(performance.now() - before).toBeLessThan(5000)
  expect(wide).toHaveProperty('k1', 1)
})

test('what is added, copied or moved is not the same thing as what it comes from', () => {
  const value = { list: [1] }
  const patch = [
    { op: 'add', path: '/a', value },
    { op: 'add', path: '/a/list/-', value: 2 },
    { op: 'copy', from: '/a', path: '/b' },
    { op: 'add', path: '/b/list/-', value: 3 },
    { op: 'move', from: '/a', path: '/c' },
    { op: 'replace', path: '/a', value: 0 },
  ]

  expect(() => applyJsonPatch({}, patch)).toThrow(/there is no \/a$/)
  expect(applyJsonPatch({}, patch.slice(0, -1))).toEqual({ b: { list: [1, 2, 3] }, c: { list: [1, 2] } })
  expect(value).toEqual({ list: [1] })
})

test('a patch with more operations than a server takes is refused', () => {
  const many = Array.from({ length: 10_001 }, () => ({ op: 'test', path: '/a', value: 1 }))

  expect(() => applyJsonPatch({ a: 1 }, many)).toThrow(/at most 10000 operations/)
})

test('a member named __proto__ is a member like others', () => {
  const after = applyJsonPatch({}, [{ op: 'add', path: '/__proto__', value: { polluted: true } }])

  expect(JSON.stringify(after)).toBe('{"__proto__":{"polluted":true}}')
  expect('polluted' in {}).toBe(false)
})
