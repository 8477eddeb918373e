import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import {
  expectNothingChanged,
  expectNothingSilent,
  expectVerifyFindsAll,
  flipBit,
  summaryOf,
  tryOut,
  type Outcome,
} from './support/flips.js'
import { Choices, SEED } from './support/seed.js'
import { fill, type Truth } from './support/truth.js'

/** How many bits are flipped, each in a fresh copy. */
const FLIPS = Number(process.env['BANYAN_FAULTS_FLIPS'] ?? 60)
const COMMITS = 150

test(`a flipped bit in the file of a closed log (seed ${SEED})`, { timeout: 120_000 }, async () => {
  const root = mkdtempSync(join(tmpdir(), 'banyan-flip-'))
  const file = join(root, 'events.db')
  const log = await openLog(`sqlite:${file}`)
  const truth = await fill(log, COMMITS, 1)
  await log.close()
  expect(existsSync(`${file}-wal`)).toBe(false)
  await flipBits({ 'events.db': readFileSync(file) }, 'events.db', truth, root)
  rmSync(root, { recursive: true })
})

test(`a flipped bit in the WAL that a killed process left (seed ${SEED})`, { timeout: 120_000 }, async () => {
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
    const copy = join(root, 'copy')
    mkdirSync(copy)
    for (const [name, content] of Object.entries({ ...files, [damaged]: bytes }))
      writeFileSync(join(copy, name), content)
    outcomes.push(await tryOut(`sqlite:${join(copy, 'events.db')}`, truth, `${about} of ${damaged}`))
    rmSync(copy, { recursive: true })
  }
  process.stdout.write(`${summaryOf(outcomes)}\n`)
  expectNothingChanged(outcomes)
  expectVerifyFindsAll(outcomes)
  expectNothingSilent(outcomes)
}
