import { expect, it } from 'vitest'
import { processes } from '../../test/support/coordinators.js'
import { wrapDriver } from '../testing/coordination/kit.js'
import { happeningsIn, remember } from './history.js'

it('keeps the last 20 of what a process tells at once, in order, with few writes', async () => {
  const all = processes()
  let puts = 0
  const coordinator = all.open({
    wrap: (driver) =>
      wrapDriver(driver, {
        put: (...given) => {
          puts++
          return driver.put(...given)
        },
      }),
  })
  const told = Array.from({ length: 1000 }, (_, at) => remember(coordinator, 'things/x', { at }))
  await all.clock.settle(Promise.all(told))
  const kept = Array.from({ length: 20 }, (_, index) => ({ at: 980 + index }))
  expect(happeningsIn((await coordinator.get('banyan/history/things/x'))?.value)).toEqual(kept)
  expect(puts).toBeLessThan(3)
})

it('keeps what several processes tell at the same time', async () => {
  const all = processes()
  const told = [1, 2, 3].map((process) => remember(all.open(), 'things/x', { process }))
  await all.clock.settle(Promise.all(told))
  const found = happeningsIn((await all.open().get('banyan/history/things/x'))?.value)
  expect(found).toHaveLength(3)
})
