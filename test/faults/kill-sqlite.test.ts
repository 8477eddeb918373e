import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import { SEED, times } from '../support/effort.js'
import { Conductor } from './support/conductor.js'
import { judge } from './support/judge.js'

/** How many processes are killed. */
const KILLS = times(25)

/**
 * Several processes write to one file and follow it, and are killed with SIGKILL at random moments, often before they have
 * opened it, now and then all at once.
 */
test(
  `sqlite keeps every law while ${KILLS} of its processes are killed (seed ${SEED})`,
  { timeout: 300_000 + KILLS * 1000 },
  async () => {
    const directory = mkdtempSync(join(tmpdir(), 'banyan-faults-'))
    const where = `sqlite:${join(directory, 'log')}`
    using conductor = new Conductor({
      log: where,
      directory: join(directory, 'histories'),
      seed: SEED,
      kills: KILLS,
      writers: 4,
      followers: [
        [{}, { category: 'ledger' }],
        [{ tags: ['tag:3'] }, { stream: 'hot-1' }, { types: ['Type1'] }],
      ],
      lanes: 6,
      pause: 12,
    })
    await conductor.run()
    const log = await openLog(where)
    const { verdict, history } = await judge(log, conductor.histories)
    await log.close()
    expect(conductor.kills).toBeGreaterThanOrEqual(KILLS)
    // Without these it would prove little: writers that went on, answers that were lost, followers that came back.
    expect(verdict.commits.acknowledged).toBeGreaterThan(KILLS)
    expect(history.attempts.filter(({ outcome }) => outcome === 'unknown').length).toBeGreaterThan(0)
    expect(history.follows.filter(({ from }) => from !== '0').length).toBeGreaterThan(KILLS / 20)
    rmSync(directory, { recursive: true })
  },
)
