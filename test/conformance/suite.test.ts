import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { logConformance } from '../../src/testing/index.js'
import { BUGS } from './bugs.js'
import { runConformance } from './run.js'
import { sharedMemorySetup } from './shared-memory.js'

describe('a right driver whose log outlives its handles', () => {
  runConformance(sharedMemorySetup())
})

describe('the conformance suite', () => {
  for (const [name, { bug, foundBy, losesLastGroup = false }] of Object.entries(BUGS))
    it(`finds a driver that ${name}`, async () => {
      const found = logConformance(sharedMemorySetup(bug, { losesLastGroup })).filter((each) =>
        each.name.startsWith(foundBy),
      )
      expect(found).toHaveLength(1)
      await expect(found[0]!.run()).rejects.toThrow()
    })

  it('finds most of them by random operations alone, and names the seed', async () => {
    // Three are found with some seeds only; without them it would be just half.
    vi.stubEnv('BANYAN_SEED', '1')
    onTestFinished(() => void vi.unstubAllEnvs())
    const missed: string[] = []
    for (const [name, { bug, losesLastGroup = false }] of Object.entries(BUGS)) {
      const random = logConformance(sharedMemorySetup(bug, { losesLastGroup })).filter(
        (each) => each.name.startsWith('random operations') && each.name.endsWith('gives'),
      )
      const error = await random[0]!.run().catch((reason: unknown) => reason)
      if (!(error instanceof Error)) missed.push(name)
      else if (error.message.includes('random')) expect(error.message).toMatch(/BANYAN_SEED=\d+/)
    }
    expect(missed.length, `missed: ${missed.join(', ')}`).toBeLessThan(Object.keys(BUGS).length / 2)
  })

  it('says what a driver need not pass, and why', () => {
    const skipped = logConformance(sharedMemorySetup()).filter(({ skip }) => skip !== undefined)
    expect(new Set(skipped.map(({ skip }) => skip))).toEqual(new Set(['no transactions', 'no backup']))
  })

  it('refuses a driver that promises something else than the setup says', async () => {
    const setup = sharedMemorySetup()
    const capabilities = { ...setup.capabilities, durable: 'none' } as const
    const [first] = logConformance({ ...setup, capabilities })
    await expect(first!.run()).rejects.toThrow('promises something else')
  })
})
