import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.js'
import { openSqliteCoordinator } from '../../src/drivers/sqlite/coordinator/driver.js'
import { thisMachine } from '../../src/drivers/sqlite/coordinator/machine.js'
import { identityOf } from '../../src/drivers/sqlite/coordinator/place.js'
import { SEED, times } from '../support/effort.js'
import { Child } from './support/child.js'
import { Choices } from './support/choices.js'
import { faultyDisk, faultyDiskMissing } from './support/disk.js'
import { afterPowerLoss, readTrace, type DiskEntry } from './support/power-loss.js'

/** How often the power fails. */
const FAILURES = times(20)

/** What the process has recorded. */
type Line =
  | { is: 'tried'; key: string; number: number; deletes: boolean }
  | { is: 'told'; key: string; number: number; deletes: boolean; revision?: number }
  | { is: 'seen'; key: string; number: number; revision: number }
  | { is: 'given'; revision: number }

/**
 * The power fails at any place of what a process did to its files, and the disk has what was synced, and any part of the rest;
 * as for the log in power-loss.test.ts.
 */
describe.skipIf(faultyDiskMissing())(
  `a coordinator in a SQLite file, after a loss of power (seed ${SEED})`,
  () => {
    test('has every change of a key without a lease that was acknowledged or seen, and no revision comes again', async () => {
      await failEverywhere({}, FAILURES)
    })

    test.each([15, 40])('also if sync %i had failed before', async (syncFails) => {
      await failEverywhere({ syncFails }, times(5))
    })
  },
)

async function failEverywhere(faults: { syncFails?: number }, failures: number): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), 'banyan-power-'))
  const directory = join(root, 'disk')
  mkdirSync(directory)
  const history = join(directory, 'history.ndjson')
  const trace = join(root, 'trace')
  const path = join(directory, 'store')
  const child = new Child(
    'coordinator-sequence.mjs',
    { where: `sqlite:${path}`, history, rounds: 30, lanes: 3 },
    faultyDisk({ files: directory, trace, ...faults }),
  )
  await child.said('done')
  child.signal('SIGKILL')
  await child.exited
  const entries = readTrace(trace)
  const choices = new Choices(SEED)
  const cuts = Array.from({ length: failures }, () => choices.below(entries.length + 1))
  const failed = entries.findIndex(({ what }) => what === 'failed')
  if (faults.syncFails !== undefined) expect(failed).toBeGreaterThan(0)
  if (failed > 0) cuts.push(failed + 1, failed + 3, failed + 6)
  let told = 0
  for (const [failure, cut] of cuts.entries()) {
    const survives = choices.pick([0, 0, 0.5, 0.9, 1])
    const about = `cut ${cut} of ${entries.length}, unsynced sectors survive with ${survives}`
    const copy = join(root, `after-${failure}`)
    const before = entries.slice(0, cut)
    for (const [file, content] of afterPowerLoss(before, survives, choices)) {
      const place = join(copy, relative(directory, file))
      mkdirSync(dirname(place), { recursive: true })
      writeFileSync(place, content)
    }
    const lines = linesOf(before, history)
    told += lines.filter(({ is }) => is === 'told').length
    await check(join(copy, 'store'), identityOf(join(path, 'coordination.db')), lines, about)
    rmSync(copy, { recursive: true, force: true })
  }
  expect(told).toBeGreaterThan(failures)
  rmSync(root, { recursive: true })
}

async function check(path: string, identity: string, lines: readonly Line[], about: string): Promise<void> {
  // The same file, after the next start of the machine.
  const surroundings = {
    machine: { boot: 'the next', now: () => thisMachine().now() },
    identityOf: () => identity,
  }
  const driver = await openSqliteCoordinator({ driver: 'sqlite', path }, { clock: systemClock }, surroundings)
  try {
    const { entries } = await driver.list('')
    expect(
      entries.filter(({ key }) => !key.startsWith('lane-')),
      about,
    ).toEqual([])
    const numbers = new Map(entries.map(({ key, value }) => [key, Number(value)]))
    for (const key of new Set(lines.flatMap((line) => ('key' in line ? [line.key] : []))))
      checkKey(
        lines.filter((line): line is Exclude<Line, { is: 'given' }> => 'key' in line && line.key === key),
        numbers.get(key),
        `${about}: ${key}`,
      )
    const given = Math.max(0, ...lines.map((line) => ('revision' in line ? (line.revision ?? 0) : 0)))
    const next = await driver.put('next', '', 'any', undefined)
    expect(next.ok && next.revision, about).toBeGreaterThan(given)
  } finally {
    await driver.close()
  }
}

/** A key has what was told or seen last, or what was tried after that. */
function checkKey(
  lines: readonly Exclude<Line, { is: 'given' }>[],
  found: number | undefined,
  about: string,
): void {
  const known = Math.max(0, ...lines.flatMap((line) => (line.is === 'tried' ? [] : [line.number])))
  const allowed = lines.flatMap((line) =>
    line.is === 'tried' && line.number >= known ? [line.deletes ? undefined : line.number] : [],
  )
  if (known === 0) allowed.push(undefined)
  expect(allowed, about).toContain(found)
}

function linesOf(entries: readonly DiskEntry[], history: string): Line[] {
  const text = entries
    .flatMap((entry) => (entry.what === 'write' && entry.path === history ? [entry.data.toString()] : []))
    .join('')
  return text.split('\n').flatMap((line) => (line.endsWith('}') ? [JSON.parse(line) as Line] : []))
}
