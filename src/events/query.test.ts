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
  ['an option with a typing error', {}, { frm: '0' }, /frm is not an option of reading, did you mean from\?/],
  ['a word for a truth value', {}, { backwards: 'yes' }, /backwards must be true or false, got "yes"/],
])('what programs without types may give: %s', (_name, selector, options, message) => {
  expect(() => queryOf(selector as Selector, options as ReadOptions)).toThrow(message)
  expect(() => queryOf(selector as Selector, options as ReadOptions)).toThrow(
    expect.objectContaining({ code: 'BANYAN_INVALID_SELECTOR' }),
  )
})
