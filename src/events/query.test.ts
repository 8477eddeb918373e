import { expect, it } from 'vitest'
import type { ReadOptions, Selector } from './log.js'
import { queryOf } from './query.js'

it.each<[string, unknown, unknown, RegExp]>([
  [
    'a name instead of a selector',
    'order-1',
    {},
    /a selector must be an object, got "order-1"; .*\{ stream \}/,
  ],
  ['no selector', null, {}, /a selector must be an object, got null/],
  ['no options', {}, null, /options must be an object, got null/],
])('what programs without types may give: %s', (_name, selector, options, message) => {
  expect(() => queryOf(selector as Selector, options as ReadOptions)).toThrow(message)
  expect(() => queryOf(selector as Selector, options as ReadOptions)).toThrow(
    expect.objectContaining({ code: 'BANYAN_INVALID_SELECTOR' }),
  )
})
