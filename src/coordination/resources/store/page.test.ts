import { expect, it } from 'vitest'
import { within } from './page.js'
import type { Held } from './cache.js'

const NAMESPACES = ['a', 'a-', 'b', 'ba', 'c']
const keys = NAMESPACES.flatMap((namespace) =>
  Array.from({ length: 1000 }, (_, index) => `things/${namespace}/${10_000 + index}`),
).toSorted()

it('finds those of a namespace, and all, without looking at each', () => {
  let looks = 0
  const state = keys.map((key): Held => ({
    get key() {
      looks++
      return key
    },
    resource: undefined as never,
  }))
  for (const prefix of [...NAMESPACES, 'none'].map((name) => `things/${name}/`)) {
    looks = 0
    const found = within(state, prefix)
    expect(looks).toBeLessThan(100)
    expect(found.map(({ key }) => key)).toEqual(keys.filter((key) => key.startsWith(prefix)))
  }
  looks = 0
  expect(within(state, 'things/')).toBe(state)
  expect(looks).toBeLessThan(100)
})
