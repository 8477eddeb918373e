import { expect, it } from 'vitest'
import { ageOf } from './age.js'

const DAY = 24 * 3_600

it.each<[number, string]>([
  [-3, '<invalid>'],
  [-2, '<invalid>'],
  [-1, '0s'],
  [0, '0s'],
  [119, '119s'],
  [120, '2m'],
  [121, '2m1s'],
  [599, '9m59s'],
  [600, '10m'],
  [3 * 3_600 - 1, '179m'],
  [3 * 3_600, '3h'],
  [7 * 3_600 + 59 * 60, '7h59m'],
  [8 * 3_600 + 59 * 60, '8h'],
  [2 * DAY - 1, '47h'],
  [2 * DAY, '2d'],
  [2 * DAY + 3_600, '2d1h'],
  [8 * DAY, '8d'],
  [2 * 365 * DAY - 1, '729d'],
  [2 * 365 * DAY, '2y'],
  [2 * 365 * DAY + DAY, '2y1d'],
  [8 * 365 * DAY, '8y'],
])('what was %i s ago is told as %s', (seconds, told) => {
  const now = Date.parse('2026-01-01T00:00:00Z')
  expect(ageOf(new Date(now - seconds * 1000).toISOString(), now)).toBe(told)
})

it('no time has no age', () => {
  expect(ageOf('yesterday', 0)).toBe('<invalid>')
})
