import { expect, test } from 'vitest'
import { clip, table, visible } from './paint.js'

const columns = [
  'NAME',
  { heading: 'RATE', right: true, dispensable: 1 },
  { heading: 'CONNS', right: true, dispensable: 2 },
  'STATE',
]
const rows = [
  ['orders', '1.0', '3', 'closed 0/571 failed'],
  ['x', '12.5', '4', 'open'],
]

test('columns stand below each other', () => {
  expect(table(columns, rows)).toBe(
    [
      'NAME    RATE  CONNS  STATE',
      'orders   1.0      3  closed 0/571 failed',
      'x       12.5      4  open',
    ].join('\n'),
  )
})

test('what is too wide loses what is dispensable, one by one', () => {
  expect(table(columns, rows, 35).split('\n')[0]).toBe('NAME    RATE  STATE')
  expect(table(columns, rows, 30).split('\n')[0]).toBe('NAME    STATE')
})

test('and then the end of its last column', () => {
  expect(table(columns, rows, 20).split('\n')[1]).toBe('orders  closed 0/57…')
})

test('colours take no room, and end where text is cut', () => {
  expect(clip('\u001b[31mabcdef\u001b[39m gh', 4)).toBe('\u001b[31mabc…\u001b[39m')
  expect(clip('\u001b[31mabcd\u001b[39m', 4)).toBe('\u001b[31mabcd\u001b[39m')
})

test('characters of two cells are not cut in the middle, and count as two', () => {
  expect(visible('日本語')).toBe(6)
  expect(visible('e\u0301')).toBe(1)
  expect(clip('日本語', 5)).toBe('日本…')
  expect(clip('日本語', 4)).toBe('日…')
  expect(clip('🙂🙂🙂', 5)).toBe('🙂🙂…')
})
