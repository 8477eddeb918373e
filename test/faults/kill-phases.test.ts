import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { SEED } from '../support/effort.js'
import { Child } from './support/child.js'
import { faultyDisk, faultyDiskMissing } from './support/disk.js'
import { judge } from './support/judge.js'
import { Choices } from './support/choices.js'

/** A process that is killed, and when. */
interface Moment {
  /** In which kind of change; default any. */
  readonly killIn?: string
  /** In which of them, from 1. */
  readonly killAt: number
  /** How many commits it appends before it closes the log. */
  readonly commits?: number
  /** How many of them side by side, at most. */
  readonly together?: number
}

const WAL = 'events.db-wal'
const FILE = 'events.db'

/** Enough to make a checkpoint while the log is open. */
const MANY = { commits: 100_000, together: 40 }

/** Until the log has been made and written to. */
const MAKING: Moment[] = Array.from({ length: 28 }, (_, index) => ({ killAt: index + 1, commits: 3 }))

const APPENDING = (choices: Choices): Moment[] => [
  ...[1, 2, 3, 4, 5, 6].map((killAt) => ({ killIn: `write ${WAL}`, killAt })),
  ...[1, 2, 3, 4].map((killAt) => ({ killIn: `sync ${WAL}`, killAt })),
  ...[300, 300, 300].map((below) => ({ killAt: 7 + choices.below(below) })),
]

/** When the last process that has the log open closes it, the WAL is copied into the file. */
const CLOSING = (choices: Choices): Moment[] => [
  ...[1, 2, 3 + choices.below(8)].map((killAt) => ({ killIn: `write ${FILE}`, killAt, commits: 5 })),
  { killIn: `sync ${FILE}`, killAt: 1, commits: 5 },
  { killIn: `unlink ${WAL}`, killAt: 1, commits: 5 },
]

const CHECKPOINT = (choices: Choices): Moment[] => [
  { ...MANY, killIn: `write ${FILE}`, killAt: 1 + choices.below(200) },
  { ...MANY, killIn: `sync ${FILE}`, killAt: 1 },
]

/**
 * The moments that random kills seldom hit: a process is killed in its first write of a file, another in its second, others
 * in a sync or a checkpoint; what it was writing is half done.
 */
describe.skipIf(faultyDiskMissing())(`sqlite, killed in every phase of a write (seed ${SEED})`, () => {
  test('while the log is made', { timeout: 300_000 }, async () => {
    const phases: string[] = []
    for (const moment of MAKING) phases.push(...(await killAll([moment], false)))
    expect(phases).toContain(`write ${FILE}-journal`)
    expect(phases).toContain(`sync ${FILE}`)
    expect(phases).toContain(`write ${WAL}`)
  })

  test('alone: the next process recovers', { timeout: 300_000 }, async () => {
    const choices = new Choices(SEED)
    const phases = await killAll([...APPENDING(choices), ...CLOSING(choices), ...CHECKPOINT(choices)], true)
    for (const phase of [`write ${WAL}`, `sync ${WAL}`, `write ${FILE}`, `sync ${FILE}`, `unlink ${WAL}`])
      expect(phases).toContain(phase)
  })

  test('beside a process that goes on', { timeout: 300_000 }, async () => {
    const choices = new Choices(SEED)
    const phases = await killAll([...APPENDING(choices), ...CHECKPOINT(choices)], true, 'beside')
    for (const phase of [`write ${WAL}`, `sync ${WAL}`, `write ${FILE}`, `sync ${FILE}`])
      expect(phases).toContain(phase)
  })
})

/**
 * @param made - whether the log is there before
 * @returns in what each process was killed
 */
async function killAll(moments: readonly Moment[], made: boolean, beside?: 'beside'): Promise<string[]> {
  const root = mkdtempSync(join(tmpdir(), 'banyan-phases-'))
  const directory = join(root, 'disk')
  mkdirSync(directory)
  const where = `sqlite:${join(directory, 'log')}`
  const killed = join(root, 'killed')
  const first = made ? await openLog(where) : undefined
  if (!beside) await first?.close()
  const histories: string[] = []
  for (const [index, { killAt, killIn, commits = 100, together = 3 }] of moments.entries()) {
    const history = join(root, `${index}.ndjson`)
    histories.push(history)
    const writer = new Child(
      'sequence.mjs',
      { log: where, name: `w${index}`, history, commits, together, close: true, seed: SEED + index },
      faultyDisk({ files: directory, killAt, killed, ...(killIn && { killIn }) }),
    )
    const { code, signal } = await writer.exited
    if (signal !== 'SIGKILL' && code !== 0) throw writer.failure(`ended with ${code ?? signal}`)
  }

  const log = beside && first ? first : await openLog(where)
  await judge(
    log,
    histories.filter((file) => existsSync(file)),
  )
  await log.close()
  const phases = readFileSync(killed, 'utf8').trimEnd().split('\n')
  rmSync(root, { recursive: true })
  return phases
}
