import { expect, it } from 'vitest'
import { copyOf } from './draft.js'

it.each([
  ['too large', JSON.parse('{"a":[{"b":1e400}]}') as object],
  ['none', { a: [{ b: NaN }] }],
])('a number that is %s is refused, and does not become null', (_, given) => {
  expect(() => copyOf(given, 'the object')).toThrow(
    expect.objectContaining({ code: 'BANYAN_RESOURCE_BAD_REQUEST' }),
  )
  expect(copyOf({ a: [null, new Date(0)] }, 'the object')).toEqual({ a: [null, '1970-01-01T00:00:00.000Z'] })
})
