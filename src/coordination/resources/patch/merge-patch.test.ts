import { expect, test } from 'vitest'
import type { Json } from './json.js'
import { applyMergePatch } from './merge-patch.js'

/** Appendix A of RFC 7396. */
const EXAMPLES: readonly [before: Json, patch: Json, after: Json][] = [
  [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
  [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
  [{ a: 'b' }, { a: null }, {}],
  [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
  [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
  [{ a: 'c' }, { a: ['b'] }, { a: ['b'] }],
  [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
  [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
  [
    ['a', 'b'],
    ['c', 'd'],
    ['c', 'd'],
  ],
  [{ a: 'b' }, ['c'], ['c']],
  [{ a: 'foo' }, null, null],
  [{ a: 'foo' }, 'bar', 'bar'],
  [{ e: null }, { a: 1 }, { e: null, a: 1 }],
  [[1, 2], { a: 'b', c: null }, { a: 'b' }],
  [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
]

test.each(EXAMPLES)('%j patched with %j is %j', (before, patch, after) => {
  expect(applyMergePatch(before, patch)).toEqual(after)
})

test('the example of section 3 of RFC 7396', () => {
  const document: Json = {
    title: 'Goodbye!',
    author: { givenName: 'John', familyName: 'Doe' },
    tags: ['example', 'sample'],
    content: 'This will be unchanged',
  }
  const patch: Json = {
    title: 'Hello!',
    phoneNumber: '+01-123-456-7890',
    author: { familyName: null },
    tags: ['example'],
  }
  const before = structuredClone(document)

  expect(applyMergePatch(document, patch)).toEqual({
    title: 'Hello!',
    author: { givenName: 'John' },
    tags: ['example'],
    content: 'This will be unchanged',
    phoneNumber: '+01-123-456-7890',
  })
  expect(document).toEqual(before)
})

test('a member named __proto__ is a member like others', () => {
  const patch = JSON.parse('{"__proto__": {"polluted": true}, "constructor": {"a": 1}}') as Json

  expect(JSON.stringify(applyMergePatch({}, patch))).toBe(JSON.stringify(patch))
  expect('polluted' in {}).toBe(false)
})
