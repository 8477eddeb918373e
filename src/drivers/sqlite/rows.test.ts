import Database from 'better-sqlite3'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { checksumOfRow, checksumWith, streamRow, type StreamRow } from './rows.js'

const number = fc.integer({ min: -1, max: Number.MAX_SAFE_INTEGER })
const row = fc.tuple(number, fc.string(), number, number, number, number)

test('a bit that flips in a row changes its checksum', () => {
  fc.assert(
    fc.property(
      row,
      fc.constantFrom(0, 2, 3, 4, 5),
      fc.integer({ min: 0, max: 52 }),
      (values, column, bit) => {
        const flipped: unknown[] = [...values]
        flipped[column] = Number(BigInt(values[column]) ^ (1n << BigInt(bit)))
        expect(checksumOfRow(flipped)).not.toBe(checksumOfRow(values))
      },
    ),
    { numRuns: 2000 },
  )
})

test('another name has another checksum', () => {
  fc.assert(
    fc.property(row, fc.string(), (values, name) => {
      fc.pre(name !== values[1])
      expect(checksumOfRow(values.with(1, name))).not.toBe(checksumOfRow(values))
    }),
  )
})

test('SQL changes a value and its checksum together', () => {
  const db = new Database(':memory:')
  const sql = checksumWith<StreamRow>(streamRow, 'last', 'now')
  const changed = db
    .prepare(`SELECT ${sql} FROM (SELECT @checksum AS checksum, @last AS last, @now AS now)`)
    .pluck()
  fc.assert(
    fc.property(row, number, (values, now) => {
      const numbers = { checksum: BigInt(checksumOfRow(values)), last: BigInt(values[3]), now: BigInt(now) }
      expect(changed.get(numbers)).toBe(checksumOfRow(values.with(3, now)))
    }),
  )
  db.close()
})
