import { describe, expect, it } from 'vitest'
import { processes } from '../../../test/support/coordinators.js'
import { wrapDriver } from '../../testing/coordination/kit.js'
import { readSemaphores, semaphore, type Held } from '../index.js'

describe('a semaphore', () => {
  it('is held by as many as it has permits, first come, first served', async () => {
    const { clock, open } = processes()
    const held: Held[] = []
    let lists = 0
    for (let number = 0; number < 8; number++) {
      const coordinator = open({
        wrap: (driver) => wrapDriver(driver, { list: (prefix) => (lists++, driver.list(prefix)) }),
      })
      void semaphore(coordinator, 'x', { permits: 3, holder: `${number}` })
        .acquire()
        .then((each) => held.push(each))
      await clock.advance(1)
    }
    expect(held).toHaveLength(3)
    const [state] = await readSemaphores(open())
    expect(state).toMatchObject({ name: 'x', permits: 3 })
    expect(state!.holders.map(({ holder }) => holder)).toEqual(['0', '1', '2'])
    expect(state!.waiting.map(({ holder }) => holder)).toEqual(['3', '4', '5', '6', '7'])
    lists = 0
    // Not in the order of coming.
    for (const index of [1, 0, 2, 3, 4]) {
      await held[index]!.release()
      await clock.advance(1)
    }
    expect(held).toHaveLength(8)
    // Each release had one look again, all others only count.
    expect(lists).toBe(5)
    const tokens = held.map(({ token }) => token)
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b))
  })

  it('goes on when somebody who waits gives up, or who holds it crashes', async () => {
    const { clock, open } = processes()
    let cut = false
    const crashing = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          renew: (leases, within) => (cut ? new Promise(() => undefined) : driver.renew(leases, within)),
        }),
    })
    await semaphore(crashing, 'x', { permits: 2 }).acquire()
    await semaphore(open(), 'x', { permits: 2 }).acquire()
    const impatient = expect(
      semaphore(open(), 'x', { permits: 2, wait: '100ms' }).acquire(),
    ).rejects.toMatchObject({ code: 'BANYAN_LOCK_TIMEOUT' })
    await clock.advance(1)
    const patient = semaphore(open(), 'x', { permits: 2 }).acquire()
    await clock.advance('1s')
    await impatient
    cut = true
    expect((await clock.settle(patient)).held).toBe(true)
  })

  it('has one number of permits', async () => {
    const { clock, open } = processes()
    const two = await semaphore(open(), 'x', { permits: 2 }).acquire()
    const three = semaphore(open(), 'x', { permits: 3, holder: 'newer' })
    await expect(three.acquire()).rejects.toMatchObject({ code: 'BANYAN_NAME_CLASH' })
    await expect(three.tryAcquire()).rejects.toThrow('has 2 permits for')
    // Whoever was refused takes no place.
    expect((await semaphore(open(), 'x', { permits: 2 }).tryAcquire())?.held).toBe(true)
    expect(await semaphore(open(), 'x', { permits: 2 }).tryAcquire()).toBeUndefined()
    await two.release()
    await clock.advance('1s')
    expect(() => semaphore(open(), 'x', {} as { permits: number })).toThrow('permits is missing')
    expect(() => semaphore(open(), 'x', { permits: 0 })).toThrow('at least 1')
  })
})
