import { describe, expect, it } from 'vitest'
import { coordinatorConformance } from '../../src/testing/index.js'
import { BUGS, memorySetup } from './bugs.js'

describe('the conformance suite of the coordinator', () => {
  for (const [name, { bug, foundBy }] of Object.entries(BUGS))
    it.concurrent(`finds a driver that ${name}`, async () => {
      const found = coordinatorConformance(memorySetup(bug)).filter((each) => each.name.startsWith(foundBy))
      expect(found).toHaveLength(1)
      await expect(found[0]!.run()).rejects.toThrow()
    })

  it('refuses a driver that promises something else than the setup says', async () => {
    const setup = memorySetup()
    const [first] = coordinatorConformance({ ...setup, capabilities: { ...setup.capabilities, minTtl: 1 } })
    await expect(first!.run()).rejects.toThrow('promises something else')
  })

  it('says what an engine cannot be made to suffer', () => {
    const skipped = coordinatorConformance({ ...memorySetup(), faults: [] }).filter(
      ({ skip }) => skip !== undefined,
    )
    expect(skipped.map(({ skip }) => skip)).toContain('this engine cannot be made to suffer it (compact)')
  })
})
