import { expect, test } from 'vitest'
import { virtualClock } from '../../../../testing/index.js'
import { Verdicts } from './verdicts.js'

test('a verdict holds until its time, and not at it', async () => {
  const clock = virtualClock()
  const verdicts = new Verdicts<string>(10, clock)
  verdicts.set('a', 'yes', clock.wall() + 1000)
  await clock.advance(999)
  expect(verdicts.get('a')).toBe('yes')
  await clock.advance(1)
  expect(verdicts.get('a')).toBeUndefined()
  expect(verdicts.size).toBe(0)
})

test('at the bound, the verdict that was asked for longest ago is forgotten', () => {
  const clock = virtualClock()
  const verdicts = new Verdicts<number>(2, clock)
  verdicts.set('a', 1, Infinity)
  verdicts.set('b', 2, Infinity)
  verdicts.get('a')
  verdicts.set('c', 3, Infinity)
  expect(['a', 'b', 'c'].map((each) => verdicts.get(each))).toEqual([1, undefined, 3])
})

test('nothing is remembered where nothing may be, or what is over already', () => {
  const clock = virtualClock()
  const none = new Verdicts<number>(0, clock)
  none.set('a', 1, Infinity)
  const some = new Verdicts<number>(1, clock)
  some.set('a', 1, clock.wall())
  expect([none.get('a'), some.get('a')]).toEqual([undefined, undefined])
})
