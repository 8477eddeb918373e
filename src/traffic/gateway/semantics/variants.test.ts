import { expect, test } from 'vitest'
import { Fields } from '../../http/fields.js'
import { selectingFields, Variants } from './variants.js'

const sent = (fields: Record<string, string>) => (lower: string) => fields[lower]

test('an answer that varies with nothing is for everybody', () => {
  const variants = new Variants<string>()
  variants.put(selectingFields(Fields.of([]))!, sent({ accept: 'a' }), 'x')
  expect(variants.find(sent({ accept: 'b' }))).toBe('x')
})

test('an answer is for requests that say the same in what it varies with', () => {
  const variants = new Variants<string>()
  const names = selectingFields(Fields.of([['Vary', 'Accept-Language, Accept']]))!
  variants.put(names, sent({ 'accept-language': 'de' }), 'deutsch')
  variants.put(names, sent({ 'accept-language': 'en' }), 'english')
  expect(variants.find(sent({ 'accept-language': 'de' }))).toBe('deutsch')
  expect(variants.find(sent({ 'accept-language': 'en' }))).toBe('english')
  expect(variants.find(sent({ 'accept-language': 'en', accept: '' }))).toBeUndefined()
  expect(variants.find(sent({}))).toBeUndefined()
})

test('order and case of codings and white space make no difference', () => {
  const variants = new Variants<string>()
  variants.put(['accept-encoding'], sent({ 'accept-encoding': 'gzip, BR' }), 'x')
  expect(variants.find(sent({ 'accept-encoding': 'br,gzip' }))).toBe('x')
})

test('the newer of two answers for one selection takes the place of the older', () => {
  const variants = new Variants<string>()
  expect(variants.put(['a'], sent({ a: '1' }), 'old')).toEqual([])
  expect(variants.put(['a'], sent({ a: '1' }), 'new')).toEqual(['old'])
  expect(variants.size).toBe(1)
})

test('the newest of several that would do is taken', () => {
  const variants = new Variants<string>()
  variants.put([], sent({}), 'general')
  variants.put(['a'], sent({ a: '1' }), 'special')
  expect(variants.find(sent({ a: '1' }))).toBe('special')
  expect(variants.find(sent({ a: '2' }))).toBe('general')
})

test('a field that is different every time fills no memory', () => {
  const variants = new Variants<number>()
  let dropped = 0
  for (let index = 0; index < 1000; index++)
    dropped += variants.put(['x'], sent({ x: String(index) }), index).length
  expect(variants.size).toBe(64)
  expect(dropped).toBe(1000 - 64)
})

test('Vary: * depends on what cannot be told', () => {
  expect(selectingFields(Fields.of([['Vary', 'Accept, *']]))).toBeUndefined()
})
