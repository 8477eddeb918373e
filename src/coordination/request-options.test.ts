import { describe, expect, it } from 'vitest'
import { processes } from '../../test/support/coordinators.js'

const invalid = (message: RegExp): unknown =>
  expect.objectContaining({
    code: 'BANYAN_INVALID_OPTIONS',
    message: expect.stringMatching(message) as string,
  })

describe('a request of a coordinator', () => {
  it.each<object>([{ expect: 'absent' }, { expcted: 1 }])(
    'is not made with the option %o, which is none',
    async (given) => {
      const coordinator = processes().open()
      const said = invalid(/^(put|delete): \w+ is not an option, did you mean `expected`\?$/)
      await coordinator.put('a', 'one')
      await expect(coordinator.put('a', 'two', given)).rejects.toEqual(said)
      await expect(coordinator.putAndList('a', 'two', '', given)).rejects.toEqual(said)
      await expect(coordinator.delete('a', given)).rejects.toEqual(said)
      expect((await coordinator.get('a'))?.value).toBe('one')
      expect(() => coordinator.watch('a', { afer: 1 } as object)).toThrow('did you mean `after`')
    },
  )

  it.each([undefined, null, 'abesnt', '1', -1, 1.5, 1n])('is not made with %o expected', async (expected) => {
    const coordinator = processes().open()
    const given = { expected } as object
    const said = invalid(/expected must be 'any', 'absent', or a revision, .* got /)
    await coordinator.put('a', 'one')
    await expect(coordinator.put('a', 'two', given)).rejects.toEqual(said)
    await expect(coordinator.delete('a', given)).rejects.toEqual(said)
    expect((await coordinator.get('a'))?.value).toBe('one')
  })

  it.each([null, 'absent'])('is not made with %o instead of options', async (given) => {
    const coordinator = processes().open()
    const said = invalid(/^(put|delete): must be an object of options, got /)
    await expect(coordinator.put('a', 'two', given as never)).rejects.toEqual(said)
    await expect(coordinator.delete('a', given as never)).rejects.toEqual(said)
  })
})
