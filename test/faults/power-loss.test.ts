import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { checkHistory, loggedEvents, readHistory } from '../../src/testing/index.js'
import { SEED, times } from '../support/effort.js'
import { Child } from './support/child.js'
import { faultyDisk, faultyDiskMissing } from './support/disk.js'
import { problems } from './support/judge.js'
import { afterPowerLoss, readTrace, type DiskEntry } from './support/power-loss.js'
import { Choices } from './support/choices.js'

/** How often the power fails. */
const FAILURES = times(12)
const TIMEOUT = 300_000 + FAILURES * 1000

/**
 * What `kill -9` cannot show: that acknowledged means synced. Every write and sync of a process is recorded, in order with
 * what it was told; then the power fails at any place of that, and the disk has what was synced, and any part of the rest.
 */
describe.skipIf(faultyDiskMissing())(`after a loss of power (seed ${SEED})`, () => {
  test(`sqlite has all that was acknowledged, at ${FAILURES} places`, { timeout: TIMEOUT }, async () => {
    await failEverywhere({}, FAILURES)
  })

  test('also while the WAL is copied into the file', { timeout: TIMEOUT }, async () => {
    await failEverywhere({}, times(4), 'at a checkpoint')
  })

  test.each([20, 60, 140])('also if sync %i had failed before', { timeout: TIMEOUT }, async (syncFails) => {
    const codes = await failEverywhere({ syncFails }, times(4))
    // Whether it is in the log is open then, and the process is told so.
    for (const code of codes) expect(code).toBe('BANYAN_OUTCOME_UNKNOWN')
  })
})

/** @returns the codes of the errors that the writer was told */
async function failEverywhere(
  faults: { syncFails?: number },
  failures: number,
  where?: 'at a checkpoint',
): Promise<string[]> {
  const root = mkdtempSync(join(tmpdir(), 'banyan-power-'))
  const directory = join(root, 'disk')
  mkdirSync(directory)
  const history = join(directory, 'history.ndjson')
  const trace = join(root, 'trace')
  const log = `sqlite:${join(directory, 'log')}`
  const writer = new Child(
    'sequence.mjs',
    {
      log,
      name: 'w0',
      history,
      commits: where ? 3000 : 200,
      together: where ? 30 : 6,
      close: false,
      seed: SEED,
    },
    faultyDisk({ files: directory, trace, ...faults }),
  )
  await writer.said('done')
  writer.signal('SIGKILL')
  await writer.exited
  const entries = readTrace(trace)

  const choices = new Choices(SEED)
  const [from, to] = where ? checkpointIn(entries) : [0, entries.length]
  const cuts = Array.from({ length: failures }, () => from + choices.below(to - from + 1))
  // Right after a sync has failed: what it was for may be there when the process is not any more.
  const failed = entries.findIndex(({ what }) => what === 'failed')
  if (failed > 0) cuts.push(failed + 1, failed + 2, failed + 3, failed + 4)
  let acknowledged = 0
  for (const [failure, cut] of cuts.entries()) {
    const survives = choices.pick([0, 0, 0.5, 0.9, 1])
    const about = `cut ${cut} of ${entries.length}, unsynced sectors survive with ${survives}`
    const copy = join(root, `after-${failure}`)
    acknowledged += await check(entries.slice(0, cut), { directory, history, copy, survives, choices, about })
    rmSync(copy, { recursive: true, force: true })
  }
  expect(acknowledged).toBeGreaterThan(failures)
  rmSync(root, { recursive: true })
  return writer.stdout.split('\n').filter((line) => line.startsWith('BANYAN_'))
}

/** From where to where the WAL was copied into the file, with some of what came before and after. */
function checkpointIn(entries: readonly DiskEntry[]): [number, number] {
  const begun = entries.findIndex(({ what, path }) => what === 'write' && path.endsWith('-wal'))
  const isCopy = ({ what, path }: DiskEntry): boolean => what === 'write' && path.endsWith('.db')
  const first = entries.findIndex((entry, index) => index > begun && isCopy(entry))
  expect(first).toBeGreaterThan(0)
  return [first - 5, Math.min(entries.length, entries.findLastIndex(isCopy) + 60)]
}

/** @returns how many commits had been acknowledged */
async function check(
  entries: readonly DiskEntry[],
  options: {
    directory: string
    history: string
    copy: string
    survives: number
    choices: Choices
    about: string
  },
): Promise<number> {
  const { directory, history, copy, survives, choices, about } = options
  for (const [path, content] of afterPowerLoss(entries, survives, choices)) {
    const file = join(copy, relative(directory, path))
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  const log = await openLog(`sqlite:${join(copy, 'log')}`)
  try {
    expect(await problems(log), about).toEqual([])
    const lines = entries.flatMap((entry) =>
      entry.what === 'write' && entry.path === history ? entry.data.toString().split('\n') : [],
    )
    const recorded = await readHistory(lines)
    const verdict = checkHistory({ ...recorded, log: await loggedEvents(log) })
    expect(verdict.ok, `${about}: ${verdict.summary}`).toBe(true)
    const next = await log.append({
      id: 'after',
      streams: [{ stream: 'after-1', events: [{ type: 'Went' }] }],
    })
    expect(next.ok, about).toBe(true)
    return verdict.commits.acknowledged
  } finally {
    await log.close()
  }
}
