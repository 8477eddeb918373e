import { expect, test } from 'vitest'
import { virtualClock } from '../../testing/index.js'
import { Sweeper, type Sweepable } from './sweeper.js'

function member(onExpire: () => void): Sweepable {
  return { deadline: Infinity, expire: onExpire }
}

test('a deadline expires once, never early, and at most a second late', async () => {
  const clock = virtualClock()
  const sweeper = new Sweeper(clock)
  const expired: [name: string, late: number][] = []
  const add = (name: string, after: number): void => {
    const due = clock.now() + after
    const each = member(() => expired.push([name, clock.now() - due]))
    sweeper.add(each)
    each.deadline = sweeper.after(after)
  }
  add('idle', Infinity)
  for (let step = 0; step < 30; step++) {
    add(`${step}`, (step * 137) % 1_700)
    await clock.advance(97)
  }
  await clock.advance(5_000)
  expect(expired).toHaveLength(30)
  for (const [, late] of expired) {
    expect(late).toBeGreaterThanOrEqual(0)
    expect(late).toBeLessThanOrEqual(1_000)
  }
})

test('a deadline is counted from now, also when nobody was watched for long', async () => {
  const clock = virtualClock()
  const sweeper = new Sweeper(clock)
  await clock.advance('1h')
  let expiredAt: number | undefined
  const each = member(() => (expiredAt = clock.now()))
  each.deadline = sweeper.after(5_000)
  sweeper.add(each)
  await clock.advance('1m')
  expect(expiredAt).toBeGreaterThanOrEqual(3_605_000)
  expect(expiredAt).toBeLessThanOrEqual(3_606_000)
})

test('a deadline can be moved on before it has come', async () => {
  const clock = virtualClock()
  const sweeper = new Sweeper(clock)
  let expired = 0
  const each = member(() => expired++)
  sweeper.add(each)
  for (let step = 0; step < 20; step++) {
    each.deadline = sweeper.after(1_000)
    await clock.advance(900)
  }
  expect(expired).toBe(0)
  await clock.advance(2_000)
  expect(expired).toBe(1)
})

test('no timer runs while nobody is watched, so that a process can end', async () => {
  const clock = virtualClock()
  const sweeper = new Sweeper(clock)
  expect(clock.pending).toBe(0)
  const [one, two] = [member(() => undefined), member(() => undefined)]
  sweeper.add(one)
  sweeper.add(two)
  await clock.advance(3_000)
  expect(clock.pending).toBe(1)
  sweeper.delete(one)
  expect(clock.pending).toBe(1)
  sweeper.delete(two)
  expect(clock.pending).toBe(0)
})

test('a member that leaves when another expires is left alone', async () => {
  const clock = virtualClock()
  const sweeper = new Sweeper(clock)
  let expired = 0
  const two = member(() => expired++)
  const one = member(() => sweeper.delete(two))
  sweeper.add(one)
  sweeper.add(two)
  one.deadline = two.deadline = sweeper.after(100)
  await clock.advance(2_000)
  expect(expired).toBe(0)
})
