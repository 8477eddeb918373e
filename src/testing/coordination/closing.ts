import assert from 'node:assert/strict'
import { refuses, soon } from '../conformance/kit.js'
import { wrapDriver } from './kit.js'
import type { CoordinatorCase } from './setup.js'

/** What a closed coordinator does. */
export const closeCases: readonly CoordinatorCase[] = [
  {
    name: 'a closed coordinator refuses everything, and its watches end',
    run: async ({ another, driver, ttl }) => {
      const coordinator = await another()
      await coordinator.put('k', '1')
      const groups = coordinator.watch('k', { after: await driver.head() })[Symbol.asyncIterator]()
      const next = groups.next()
      await soon(coordinator.close(), 'the end')
      await coordinator.close()
      assert.ok((await soon(next, 'the end of the watch')).done)
      const calls = {
        get: () => coordinator.get('k'),
        list: () => coordinator.list('k'),
        put: () => coordinator.put('k', '2'),
        delete: () => coordinator.delete('k'),
        lease: () => coordinator.lease(ttl),
        session: () => coordinator.session(ttl).lease(),
      }
      for (const [name, call] of Object.entries(calls))
        await refuses(call(), 'BANYAN_COORDINATOR_CLOSED', name)
    },
  },
  {
    name: "a lease that is granted while its coordinator is closed is nobody's",
    run: async ({ another, ttl }) => {
      let answer = (): void => undefined
      const late = new Promise<void>((resolve) => (answer = resolve))
      let granted = (): void => undefined
      const given = new Promise<void>((resolve) => (granted = resolve))
      const coordinator = await another({
        wrap: (inner) =>
          wrapDriver(inner, {
            grant: async (wanted) => {
              const grant = await inner.grant(wanted)
              granted()
              await late
              return grant
            },
          }),
      })
      const lease = coordinator.lease(ttl)
      const refusal = refuses(lease, 'BANYAN_COORDINATOR_CLOSED', 'a lease of a closed coordinator')
      await soon(given, 'the grant of the engine')
      await soon(coordinator.close(), 'the end')
      answer()
      await refusal
    },
  },
]
