import Database from 'better-sqlite3'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { SEED, times } from '../support/effort.js'
import {
  expectNothingChanged,
  expectNothingSilent,
  expectVerifyFindsAll,
  flipBit,
  tryOut,
  type Outcome,
} from './support/flips.js'
import { Choices } from './support/choices.js'
import { fill, type Truth } from './support/truth.js'

/** How many bits are flipped, each in a fresh copy. */
const FLIPS = times(10)
const TIMEOUT = 300_000 + FLIPS * 1000
const COMMITS = 150

test(`a flipped bit in the file of a closed log (seed ${SEED})`, { timeout: TIMEOUT }, async () => {
  const root = mkdtempSync(join(tmpdir(), 'banyan-flip-'))
  const file = join(root, 'events.db')
  const log = await openLog(`sqlite:${file}`)
  const truth = await fill(log, COMMITS, 1)
  await log.close()
  expect(existsSync(`${file}-wal`)).toBe(false)
  await flipBits({ 'events.db': readFileSync(file) }, 'events.db', truth, root)
  rmSync(root, { recursive: true })
})

test(`a flipped bit in the WAL that a killed process left (seed ${SEED})`, { timeout: TIMEOUT }, async () => {
  const root = mkdtempSync(join(tmpdir(), 'banyan-flip-'))
  const file = join(root, 'events.db')
  const log = await openLog(`sqlite:${file}`)
  const truth = await fill(log, COMMITS, 2)
  // All but what processes share in memory, as it is after all of them were killed.
  const files: Record<string, Buffer> = {}
  for (const name of readdirSync(root))
    if (!name.endsWith('-shm')) files[name] = readFileSync(join(root, name))
  await log.close()
  await flipBits(files, 'events.db-wal', truth, root)
  rmSync(root, { recursive: true })
})

/** Here one bit makes another column, or other bytes, of what is stored, which may read much the same. */
test.each(['are in the indexes', 'are not in the indexes yet'])(
  'each of the lowest bits at the head of a record, where events %s',
  { timeout: 300_000 },
  async (where) => {
    const root = mkdtempSync(join(tmpdir(), 'banyan-flip-'))
    const file = join(root, 'events.db')
    const log = await openLog(`sqlite:${file}`)
    const truth = await fill(log, 12, 4)
    const db = new Database(file)
    db.pragma('wal_checkpoint(TRUNCATE)')
    db.close()
    let bytes = readFileSync(file)
    await log.close()
    if (where === 'are in the indexes') bytes = readFileSync(file)
    // The columns before the commit are numbers of a byte or two; before them stand the kinds of all columns.
    const end = bytes.toString('latin1').search(/commit-7.{0,8}(Placed|Paid|Shipped)/s)
    const outcomes: Outcome[] = []
    for (let at = end - 32; at < end; at++)
      for (const bit of [0, 1]) {
        const damaged = Buffer.from(bytes)
        damaged[at]! ^= 1 << bit
        outcomes.push(await tryIn(root, { 'events.db': damaged }, truth, `bit ${bit} of byte ${at}`))
      }
    expectNothingChanged(outcomes)
    expectVerifyFindsAll(outcomes)
    expectNothingSilent(outcomes)
    rmSync(root, { recursive: true })
  },
)

async function flipBits(
  files: Record<string, Buffer>,
  damaged: string,
  truth: Truth,
  root: string,
): Promise<void> {
  const choices = new Choices(SEED)
  const outcomes: Outcome[] = []
  for (let flip = 0; flip < FLIPS; flip++) {
    const { bytes, about } = flipBit(files[damaged]!, choices)
    outcomes.push(await tryIn(root, { ...files, [damaged]: bytes }, truth, `${about} of ${damaged}`))
  }
  expectNothingChanged(outcomes)
  expectVerifyFindsAll(outcomes)
  expectNothingSilent(outcomes)
}

/** Tries files in a directory of their own. */
async function tryIn(
  root: string,
  files: Record<string, Buffer>,
  truth: Truth,
  about: string,
): Promise<Outcome> {
  const copy = join(root, 'copy')
  mkdirSync(copy)
  for (const [name, content] of Object.entries(files)) writeFileSync(join(copy, name), content)
  const outcome = await tryOut(`sqlite:${join(copy, 'events.db')}`, truth, about)
  rmSync(copy, { recursive: true })
  return outcome
}
