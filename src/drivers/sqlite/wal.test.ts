import Database from 'better-sqlite3'
import fc from 'fast-check'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { damageOf } from './wal.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-wal-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

const HEADER = 32
const FRAME = 24 + 4096

/** A write-ahead log of some transactions, and where each of them ends. */
function makeWal(transactions: number, begunAnew = false): { wal: Buffer; ends: number[] } {
  const file = join(root, `${transactions}-${begunAnew}.db`)
  const db = new Database(file)
  db.pragma('journal_mode = WAL')
  db.pragma('wal_autocheckpoint = 0')
  db.exec('CREATE TABLE t (a TEXT)')
  const insert = db.prepare('INSERT INTO t VALUES (?)')
  if (begunAnew) {
    for (let count = 0; count < 20; count++) insert.run('x'.repeat(9000))
    db.pragma('wal_checkpoint(RESTART)')
  }
  const ends: number[] = []
  for (let count = 0; count < transactions; count++) {
    insert.run('y'.repeat(count % 2 === 0 ? 50 : 9000))
    ends.push(HEADER + framesOf(db) * FRAME)
  }
  const wal = readFileSync(`${file}-wal`)
  db.close()
  return { wal, ends }
}

function framesOf(db: Database.Database): number {
  const [{ log }] = db.pragma('wal_checkpoint(NOOP)') as [{ log: number }]
  return log
}

describe.each([false, true])('a write-ahead log (begun anew: %s)', (begunAnew) => {
  const { wal, ends } = makeWal(8, begunAnew)

  test('is whole', () => {
    expect(damageOf(wal)).toBeUndefined()
  })

  test('that ends anywhere is a torn one, which is no damage', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: ends.at(-1)! }), (end) => {
        expect(damageOf(wal.subarray(0, end))).toBeUndefined()
      }),
      { numRuns: 300 },
    )
  })

  test('whose last transaction was not written in order is a torn one', () => {
    const [begin, end] = [ends.at(-2)!, ends.at(-1)!]
    fc.assert(
      fc.property(
        fc.integer({ min: begin, max: end - 1 }),
        fc.integer({ min: 1, max: 4096 }),
        (at, length) => {
          const torn = Buffer.from(wal)
          torn.fill(0, at, Math.min(at + length, end))
          expect(damageOf(torn)).toBeUndefined()
        },
      ),
    )
  })

  test('with a bit that has flipped before the last transaction is damaged there', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: ends.at(-2)! - 1 }),
        fc.integer({ min: 0, max: 7 }),
        (at, bit) => {
          const damaged = Buffer.from(wal)
          damaged[at]! ^= 1 << bit
          const frame = HEADER + Math.floor((at - HEADER) / FRAME) * FRAME
          // Without its only bit that says so, the last commit before the last transaction seems to be the torn begin of that.
          fc.pre(at < HEADER || frame !== ends.at(-2)! - FRAME || damaged.readUInt32BE(frame + 4) !== 0)
          expect(damageOf(damaged)).toBe(at < HEADER ? 0 : frame)
        },
      ),
      {
        numRuns: 300,
        examples: [
          // One whose frame seems to be of another log, and ends the transaction before a short one.
          [ends.at(-2)! - FRAME + 8, 0],
          // The sum of the last commit before the last transaction: that and the frame behind it do not fit any more.
          [ends.at(-2)! - FRAME + 16, 0],
          [ends.at(-2)! - FRAME + 23, 7],
        ],
      },
    )
  })
})

test('none, or one that was never synced, is no damage', () => {
  expect(damageOf(Buffer.alloc(0))).toBeUndefined()
  expect(damageOf(Buffer.alloc(HEADER + FRAME))).toBeUndefined()
})
