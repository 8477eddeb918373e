import { expect, it } from 'vitest'
import { positionOf, reachable, timelineOf } from './position.js'

it('reads what the server writes', () => {
  expect(positionOf('0/3000EA8')).toBe(0x3000ea8n)
  expect(positionOf('16/B374D848')).toBe(0x16b374d848n)
  expect(timelineOf('0000001A0000000000000003')).toBe(26)
})

it('takes the beginning of an empty page for the end of the one before, which is all that a follower comes to', () => {
  expect(reachable(positionOf('0/3002018'))).toBe(positionOf('0/3002000'))
  expect(reachable(positionOf('0/3000028'))).toBe(positionOf('0/3000000'))
  // Behind a record, or a part of one.
  expect(reachable(positionOf('0/3002020'))).toBe(positionOf('0/3002020'))
  expect(reachable(positionOf('0/3002028'))).toBe(positionOf('0/3002028'))
  expect(reachable(positionOf('0/3002000'))).toBe(positionOf('0/3002000'))
})
