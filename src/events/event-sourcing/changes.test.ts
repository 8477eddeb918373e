import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { changesBetween, type Change } from './changes.js'

it('says what was added, removed and changed, and where', () => {
  const before = { name: 'ada', address: { city: 'Paris', zip: '1' }, tags: ['a'], old: true }
  const after = { name: 'ada', address: { city: 'London', zip: '1' }, tags: ['a', 'b'], new: null }
  expect(changesBetween(before, after)).toEqual([
    { kind: 'changed', path: '/address/city', before: 'Paris', after: 'London' },
    { kind: 'added', path: '/tags/1', after: 'b' },
    { kind: 'removed', path: '/old', before: true },
    { kind: 'added', path: '/new', after: null },
  ])
})

it.each<[unknown, unknown, Change[]]>([
  [1, 1, []],
  [1, 2, [{ kind: 'changed', path: '', before: 1, after: 2 }]],
  [{ a: 1 }, [1], [{ kind: 'changed', path: '', before: { a: 1 }, after: [1] }]],
  [{ a: undefined }, {}, []],
  [{ 'a/b~c': 1 }, { 'a/b~c': 2 }, [{ kind: 'changed', path: '/a~1b~0c', before: 1, after: 2 }]],
  [['a', 'b', 'c'], ['b', 'c'], [{ kind: 'removed', path: '/0', before: 'a' }]],
  [['a', 'c'], ['a', 'b', 'c'], [{ kind: 'added', path: '/1', after: 'b' }]],
  [['a', 'a'], ['a'], [{ kind: 'removed', path: '/1', before: 'a' }]],
  [[{ id: 1, n: 1 }, 2], [{ id: 1, n: 3 }, 2], [{ kind: 'changed', path: '/0/n', before: 1, after: 3 }]],
  [new Map([['k', 1]]), new Map([['k', 2]]), [{ kind: 'changed', path: '/k', before: 1, after: 2 }]],
  [new Set(['x']), new Set(['x', 'y']), [{ kind: 'added', path: '/1', after: 'y' }]],
  [{ at: new Date(5) }, { at: new Date(5) }, []],
  [new Date(5), new Date(6), [{ kind: 'changed', path: '', before: new Date(5), after: new Date(6) }]],
  [Uint8Array.of(1), Uint8Array.of(1), []],
  [{ __proto__: null, a: 1 }, { __proto__: null, a: 1 }, []],
])('between %j and %j', (before, after, changes) => {
  expect(changesBetween(before, after)).toEqual(changes)
})

it('says nothing exactly where JSON is the same, and enough to make the one of the other', () => {
  const json = fc.jsonValue({ maxDepth: 4 })
  fc.assert(
    fc.property(json, json, (before, after) => {
      expect(changesBetween(before, before)).toEqual([])
      const changes = changesBetween(before, after)
      expect(changes.length === 0).toBe(isDeepStrictEqual(noZeros(before), noZeros(after)))
      expect(noZeros(patched(before, changes))).toEqual(noZeros(after))
    }),
    { numRuns: 2000 },
  )
})

/** JSON has one zero. */
function noZeros(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value))
}

/** Makes the changes: those of lists come in rising order, what is removed is always at one place. */
function patched(before: unknown, changes: readonly Change[]): unknown {
  const whole = { root: structuredClone(before) }
  const moved = new Map<object, number>()
  for (const change of changes) {
    const names = ['root', ...change.path.split('/').slice(1)].map((name) =>
      name.replaceAll('~1', '/').replaceAll('~0', '~'),
    )
    const last = names.pop()!
    const parent = names.reduce<object>((value, name) => (value as Record<string, object>)[name]!, whole)
    if (Array.isArray(parent) && change.kind === 'removed') {
      const before = moved.get(parent) ?? 0
      parent.splice(Number(last) - before, 1)
      moved.set(parent, before + 1)
    } else if (Array.isArray(parent) && change.kind === 'added') parent.splice(Number(last), 0, change.after)
    else if (change.kind === 'removed') Reflect.deleteProperty(parent, last)
    else
      Object.defineProperty(parent, last, {
        value: change.after,
        enumerable: true,
        configurable: true,
        writable: true,
      })
  }
  return whole.root
}

it('values that contain themselves are compared once', () => {
  const ring = (name: string): object => {
    const one: Record<string, unknown> = { name, list: [1] }
    one['self'] = { again: one }
    ;(one['list'] as unknown[]).push(one)
    return one
  }
  expect(changesBetween(ring('a'), ring('a'))).toEqual([])
  expect(changesBetween(ring('a'), ring('b'))).toEqual([
    { kind: 'changed', path: '/name', before: 'a', after: 'b' },
  ])
})
