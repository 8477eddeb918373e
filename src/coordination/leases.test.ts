import { expect, test } from 'vitest'
import { processes } from '../../test/support/coordinators.js'

test('closing does not wait for an engine that is away: leases that cannot be given back expire', async () => {
  const { clock, store, open } = processes()
  const away = new Promise<void>(() => undefined)
  const coordinator = open({ wrap: (driver) => Object.assign(driver, { revoke: () => away }) })
  const lease = await coordinator.lease('10s')
  await coordinator.put('k', '', { lease })
  await clock.settle(coordinator.close())
  expect(lease.held).toBe(false)
  expect(store.get('k')).toBeDefined()
  await clock.advance('10s')
  expect(store.get('k')).toBeUndefined()
})
