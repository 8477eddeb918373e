import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'
import { parseOffset, thisMachine } from './machine.js'

test('all processes read its clock alike, and know its start by the same name', () => {
  const machine = thisMachine()
  const before = machine.now()
  const other = Number(
    execFileSync(process.execPath, ['-p', 'Number(process.hrtime.bigint()) / 1e6'], { encoding: 'utf8' }),
  )
  expect(other).toBeGreaterThan(before)
  expect(other).toBeLessThan(machine.now())
  expect(thisMachine().boot).toBe(machine.boot)
  expect(machine.boot.length).toBeGreaterThan(8)
})

test('a container with a clock of its own reads that of the machine', () => {
  expect(parseOffset('monotonic           0         0\nboottime            0         0\n')).toBe(0)
  expect(parseOffset('monotonic      -86400  500000000\nboottime           10         0\n')).toBe(-86_399_500)
  expect(parseOffset('')).toBe(0)
})
