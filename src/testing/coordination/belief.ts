import assert from 'node:assert/strict'
import { systemClock } from '../../core/clock.js'
import { refuses, soon } from '../conformance/kit.js'
import { clockAtRate, firmLease, runtimeWith, Watching, wrapDriver } from './kit.js'
import type { CoordinatorCase } from './setup.js'

/** A holder has given up before the engine lets anybody else in, whatever happens to it. */
export const beliefCases: readonly CoordinatorCase[] = [
  ...[0.5, 1, 2].map((rate): CoordinatorCase => {
    return {
      name: `a holder that cannot renew, with a clock at ${rate}x, gives up before its keys go`,
      run: async ({ coordinator, driver, another, ttl }) => {
        let renewals = 0
        const holder = await another({
          runtime: runtimeWith(clockAtRate(systemClock, rate)),
          // Nothing that it sends arrives any more.
          wrap: (inner) =>
            wrapDriver(inner, { renew: () => (renewals++, new Promise<never>(() => undefined)) }),
        })
        const watching = new Watching(coordinator, 'held', await driver.head())
        const lease = await firmLease(holder, ttl)
        await holder.put('held', '1', { lease })
        await watching.deletion('held')
        assert.ok(lease.signal.aborted || !lease.held, 'the key is gone, and its holder believes in it')
        assert.ok(renewals > 0, `it has tried ${renewals} times to renew it`)
        await watching.close()
      },
    }
  }),
  {
    name: 'a blocked event loop: the first look at the clock tells, before any timer',
    run: async ({ another, ttl }) => {
      const holder = await another()
      const lease = await firmLease(holder, ttl)
      await holder.put('held', '1', { lease })
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, lease.ttl / 2 + 20)
      assert.equal(lease.held, false)
      assert.throws(() => lease.check(), { code: 'BANYAN_LEASE_LOST' })
      await refuses(holder.put('other', '1', { lease }), 'BANYAN_LEASE_LOST', 'a change with a lost lease')
      assert.ok(lease.signal.aborted)
    },
  },
  {
    name: 'a renewal that is answered too late does not bring a lease back',
    run: async ({ another, ttl }) => {
      let answer = (): void => undefined
      const late = new Promise<void>((resolve) => (answer = resolve))
      let answered: Promise<unknown> | undefined
      const holder = await another({
        wrap: (inner) =>
          wrapDriver(inner, {
            renew: (leases, within) => {
              const result = (async () => {
                const kept = await inner.renew(leases, within)
                await late
                return kept
              })()
              answered ??= result
              return result
            },
          }),
      })
      const lease = await firmLease(holder, ttl)
      await soon(
        new Promise<void>((resolve) => lease.signal.addEventListener('abort', () => resolve())),
        'the end of a lease without answers',
      )
      answer()
      assert.deepEqual(await soon(answered!, 'the answer'), [true], 'the engine had renewed it')
      assert.equal(lease.held, false)
    },
  },
  {
    name: 'a grant that is answered so late that no renewal would come in time is refused',
    run: async ({ another, ttl }) => {
      const now = { ahead: 0 }
      const runtime = runtimeWith({
        ...systemClock,
        now: () => systemClock.now() + now.ahead,
        wall: () => systemClock.wall() + now.ahead,
        schedule: (at, callback) => systemClock.schedule(at - now.ahead, callback),
      })
      const holder = await another({
        runtime,
        wrap: (inner) =>
          wrapDriver(inner, {
            grant: async (wanted) => {
              const grant = await inner.grant(wanted)
              now.ahead += grant.ttl * 0.4
              return grant
            },
          }),
      })
      await refuses(holder.lease(ttl), 'BANYAN_LEASE_TTL', 'an engine that is too slow for the lease')
    },
  },
  {
    name: 'a wall clock that is set forward ends a lease: the machine may have been asleep',
    run: async ({ another, ttl }) => {
      const wall = { ahead: 0 }
      const runtime = runtimeWith({
        now: () => systemClock.now(),
        wall: () => systemClock.wall() + wall.ahead,
        schedule: (at, callback) => systemClock.schedule(at, callback),
      })
      const holder = await another({ runtime })
      const lease = await firmLease(holder, 20 * ttl)
      assert.ok(lease.held)
      wall.ahead = lease.ttl
      assert.equal(lease.held, false)
      const next = await firmLease(holder, 20 * ttl)
      wall.ahead = -lease.ttl
      assert.ok(next.held, 'one that is set back ends nothing')
    },
  },
]
