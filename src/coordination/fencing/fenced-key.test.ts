import { describe, expect, it } from 'vitest'
import { processes } from '../../../test/support/coordinators.js'
import { coordinationError } from '../errors.js'
import { fencedGet, fencedPut, lock } from '../index.js'

describe('a fenced key', () => {
  it('is set by the newest holder, and not by those before', async () => {
    const { open } = processes()
    const coordinator = open()
    const first = await lock(coordinator, 'config').acquire()
    await fencedPut(coordinator, 'config', 'one', { token: first })
    await first.release()
    const second = await lock(coordinator, 'config').acquire()
    const { token } = first
    await fencedPut(coordinator, 'config', 'two', { token: second })
    await expect(fencedPut(coordinator, 'config', 'late', { token })).rejects.toMatchObject({
      code: 'BANYAN_STALE_TOKEN',
      fence: 'config',
      token,
      seen: second.token,
    })
    await expect(fencedPut(coordinator, 'config', 'late', { token: first })).rejects.toMatchObject({
      code: 'BANYAN_LEASE_LOST',
    })
    expect(await fencedGet(coordinator, 'config')).toMatchObject({ value: 'two', token: second.token })
    expect(await fencedGet(coordinator, 'nothing')).toBeUndefined()
  })

  it('may be as long as any key', async () => {
    const coordinator = processes().open()
    const key = 'k'.repeat(512)
    await fencedPut(coordinator, key, 'one', { token: 1 })
    expect(await fencedGet(coordinator, key)).toMatchObject({ value: 'one', token: 1 })
    await expect(fencedPut(coordinator, `${key}k`, 'one', { token: 1 })).rejects.toMatchObject({
      code: 'BANYAN_INVALID_KEY',
    })
  })

  it('can be changed only as it was read', async () => {
    const { open } = processes()
    const coordinator = open()
    const made = await fencedPut(coordinator, 'config', 'one', { token: 5, expected: 'absent' })
    if (!made.ok) throw new Error('it was there')
    const again = await fencedPut(coordinator, 'config', 'two', { token: 5, expected: 'absent' })
    expect(again).toEqual({ ok: false, actual: { value: 'one', token: 5, revision: made.revision } })
    expect(
      await fencedPut(coordinator, 'config', 'two', { token: 5, expected: made.revision }),
    ).toMatchObject({ ok: true })
    // A stale token is told before anything else.
    await expect(
      fencedPut(coordinator, 'config', 'late', { token: 4, expected: made.revision }),
    ).rejects.toMatchObject({ code: 'BANYAN_STALE_TOKEN' })
  })

  it('is compared and set in one step, whoever comes between', async () => {
    const { open } = processes()
    const plain = open()
    let between: (() => Promise<unknown>) | undefined
    const slow = open({
      wrap: (driver) =>
        new Proxy(driver, {
          get(target, name) {
            const value: unknown = Reflect.get(target, name, target)
            if (name !== 'put')
              return typeof value === 'function' ? (value as () => void).bind(target) : value
            return async (...given: unknown[]): Promise<unknown> => {
              const work = between
              between = undefined
              await work?.()
              return Reflect.apply(value as () => unknown, target, given)
            }
          },
        }),
    })
    between = () => fencedPut(plain, 'config', 'newer', { token: 7 })
    await expect(fencedPut(slow, 'config', 'late', { token: 5 })).rejects.toMatchObject({ seen: 7 })
    between = () => fencedPut(plain, 'config', 'same holder', { token: 8 })
    expect(await fencedPut(slow, 'config', 'last', { token: 8 })).toMatchObject({ ok: true })
    expect(await fencedGet(plain, 'config')).toMatchObject({ value: 'last', token: 8 })
  })

  it('is for nothing else', async () => {
    const { open } = processes()
    const coordinator = open()
    for (const value of ['plain', '{}', 'null', '{"token":1}']) {
      await coordinator.put('config', value)
      await expect(fencedPut(coordinator, 'config', 'x', { token: 5 })).rejects.toMatchObject({
        code: 'BANYAN_NAME_CLASH',
      })
    }
    await expect(fencedPut(coordinator, 'config', 'x', { token: 5, lease: 1 } as never)).rejects.toThrow(
      /not an option/,
    )
    const over = (): never => {
      throw coordinationError('BANYAN_LEASE_LOST', 'over')
    }
    await expect(
      fencedPut(coordinator, 'other', 'x', { token: { token: 5, check: over } }),
    ).rejects.toMatchObject({
      code: 'BANYAN_LEASE_LOST',
    })
  })
})
