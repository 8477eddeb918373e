import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Child } from './support/child.js'
import { faultyDisk, faultyDiskMissing } from './support/disk.js'

const SYNC_MS = 20

interface Lag {
  samples: number
  /** How long the event loop was held up, in ms. */
  blocked: { p50: number; p90: number; p99: number; max: number }
  /** How long appends took, in ms. */
  waited: { min: number; p50: number; max: number }
}

async function lag(syncMs: number): Promise<Lag> {
  const directory = mkdtempSync(join(tmpdir(), 'banyan-slow-'))
  mkdirSync(join(directory, 'disk'))
  const child = new Child(
    'lag.mjs',
    { log: `sqlite:${join(directory, 'disk')}`, lanes: 256, appends: 15_000, bytes: 170 },
    faultyDisk({ files: join(directory, 'disk'), syncMs }),
  )
  const measured = JSON.parse(await child.output()) as Lag
  rmSync(directory, { recursive: true })
  return measured
}

describe.skipIf(faultyDiskMissing())('a disk that takes 20 ms to sync', () => {
  test('makes appends wait, and not the event loop', { timeout: 300_000 }, async () => {
    const measured = await lag(SYNC_MS)
    // Nobody is answered before the disk has said that it has it.
    expect(measured.waited.min).toBeGreaterThan(SYNC_MS)
    // A sync on the event loop would hold it up for each group. A busy machine holds up any process now and then.
    expect(measured.blocked.p50).toBeLessThan(SYNC_MS / 4)
    expect(measured.blocked.p90).toBeLessThan(SYNC_MS)
  })
})
