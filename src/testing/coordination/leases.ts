import assert from 'node:assert/strict'
import { refuses, soon } from '../conformance/kit.js'
import { done, engineTime, shown, Watching } from './kit.js'
import type { CoordinatorCase } from './setup.js'

/** Leases, and the keys that end with them. */
export const leaseCases: readonly CoordinatorCase[] = [
  {
    name: 'a release ends all keys of the lease with one revision, and no other',
    run: async ({ coordinator, driver, ttl }) => {
      const lease = await coordinator.lease(ttl)
      const other = await coordinator.lease(ttl)
      const after = await driver.head()
      await coordinator.put('k/b', '1', { lease })
      await coordinator.put('k/a', '2', { lease })
      await coordinator.put('k/c', '3', { lease: other })
      await coordinator.put('k/d', '4')
      assert.equal((await coordinator.get('k/a'))?.lease, lease.id)
      await lease.release()
      assert.deepEqual(
        (await coordinator.list('k/')).entries.map(({ key }) => key),
        ['k/c', 'k/d'],
      )
      const watching = new Watching(coordinator, 'k/', after)
      await watching.deletion('k/a')
      assert.deepEqual(shown(watching.seen), [
        ['+k/b=1'],
        ['+k/a=2'],
        ['+k/c=3'],
        ['+k/d=4'],
        ['-k/a', '-k/b'],
      ])
      await watching.close()
    },
  },
  {
    name: 'a key is of the lease that it was set with last, or of none',
    run: async ({ coordinator, ttl }) => {
      const first = await coordinator.lease(ttl)
      const second = await coordinator.lease(ttl)
      await coordinator.put('freed', '1', { lease: first })
      await coordinator.put('freed', '2')
      await coordinator.put('moved', '1', { lease: first })
      await coordinator.put('moved', '2', { lease: second })
      await coordinator.put('again', '1', { lease: first })
      await coordinator.delete('again')
      await coordinator.put('again', '2')
      assert.equal((await coordinator.get('freed'))?.lease, undefined)
      assert.equal((await coordinator.get('moved'))?.lease, second.id)
      await first.release()
      const left = async (): Promise<string[]> => (await coordinator.list('')).entries.map(({ key }) => key)
      assert.deepEqual(await left(), ['again', 'freed', 'moved'])
      await second.release()
      assert.deepEqual(await left(), ['again', 'freed'])
    },
  },
  {
    name: 'a key can be of a lease of somebody else, and ends with it',
    run: async ({ coordinator, another, ttl }) => {
      const other = await another()
      const lease = await other.lease(ttl)
      done(await coordinator.put('k', '1', { lease: lease.id }))
      assert.equal((await other.get('k'))?.lease, lease.id)
      await lease.release()
      assert.equal(await coordinator.get('k'), undefined)
      for (const ended of [lease.id, 'none', '0'])
        await refuses(
          coordinator.put('k', '2', { lease: ended }),
          'BANYAN_LEASE_LOST',
          `the lease ${ended}, which is not there`,
        )
    },
  },
  {
    name: 'a lease ends by itself, and not before its time',
    run: async ({ coordinator, driver, ttl }) => {
      // The engine counts from some moment before its answer comes.
      const since = performance.now()
      const { id, ttl: granted } = await driver.grant(ttl)
      assert.ok(granted >= ttl, `granted ${granted} ms of ${ttl}`)
      const watching = new Watching(coordinator, 'k', await driver.head())
      await driver.put('k', '1', 'any', id)
      await driver.put('k2', '1', 'any', id)
      const end = await watching.deletion('k')
      const lasted = performance.now() - since
      // The engine's clock may tick in whole ms.
      assert.ok(lasted >= granted - 2, `a lease of ${granted} ms was over after ${lasted} ms`)
      assert.deepEqual(shown([end]), [['-k', '-k2']])
      assert.equal(await coordinator.get('k'), undefined)
      await watching.close()
    },
  },
  {
    name: 'a lease that is renewed is kept, and its time begins anew',
    run: async ({ coordinator, driver, ttl }) => {
      const lease = await coordinator.lease(ttl)
      const { revision } = done(await coordinator.put('kept', '1', { lease }))
      await engineTime(driver, coordinator, 2 * ttl)
      assert.ok(lease.held)
      lease.check()
      assert.equal((await coordinator.get('kept'))?.revision, revision, 'renewals are no changes')
    },
  },
  {
    name: 'the time of a lease counts from its renewal',
    run: async ({ coordinator, driver, ttl }) => {
      const { id, ttl: granted } = await driver.grant(2 * ttl)
      await driver.put('k', '1', 'any', id)
      await engineTime(driver, coordinator, ttl)
      const since = performance.now()
      assert.deepEqual(await driver.renew([id], ttl), [true])
      const watching = new Watching(coordinator, 'k', await driver.head())
      await watching.deletion('k')
      const lasted = performance.now() - since
      assert.ok(lasted >= granted - 2, `over ${lasted} ms after its renewal for ${granted} ms`)
      await watching.close()
    },
  },
  {
    name: 'nothing is set with a lease that has ended',
    run: async ({ coordinator, driver, ttl }) => {
      const expired = await driver.grant(ttl)
      await engineTime(driver, coordinator, expired.ttl + ttl)
      const revoked = await driver.grant(ttl)
      await driver.revoke(revoked.id)
      const head = await driver.head()
      for (const { id } of [expired, revoked]) {
        const puts = [
          async () => driver.put('k', '1', 'any', id),
          async () => driver.put('k', '1', 'absent', id),
          async () => driver.putAndList?.('k', '1', 'absent', id, '') ?? driver.put('k', '1', 'any', id),
        ]
        for (const put of puts) await refuses(put(), 'BANYAN_LEASE_LOST', 'a lease that has ended')
      }
      assert.equal(await coordinator.get('k'), undefined)
      assert.equal(await driver.head(), head)
      const released = await coordinator.lease(ttl)
      await released.release()
      await refuses(coordinator.put('k', '1', { lease: released }), 'BANYAN_LEASE_LOST', 'a released lease')
    },
  },
  {
    name: 'renewals tell for each lease whether there is one',
    run: async ({ driver, ttl }) => {
      const ids: string[] = []
      while (ids.length < 50) ids.push((await driver.grant(10 * ttl)).id)
      assert.equal(new Set(ids).size, 50, 'each has an id of its own')
      for (const index of [3, 7, 49]) await driver.revoke(ids[index]!)
      const kept = await driver.renew(ids, ttl)
      assert.deepEqual(
        kept,
        ids.map((_, index) => ![3, 7, 49].includes(index)),
      )
      for (const id of ids) await driver.revoke(id)
      await driver.revoke(ids[0]!)
      assert.deepEqual(await driver.renew(ids.slice(0, 2), ttl), [false, false])
    },
  },
  {
    name: 'a lease and its keys end when its coordinator is closed',
    run: async ({ coordinator, another, driver, ttl }) => {
      const other = await another()
      const lease = await other.lease(60 * ttl)
      await other.put('k', '1', { lease })
      await other.put('stays', '1')
      const watching = new Watching(coordinator, 'k', await driver.head())
      await other.close()
      await watching.deletion('k')
      assert.ok(!lease.held && lease.signal.aborted)
      assert.equal((await coordinator.get('stays'))?.value, '1')
      await watching.close()
    },
  },
  {
    name: 'a lease that was taken away is given up with the next renewal',
    run: async ({ coordinator, driver, ttl }) => {
      const lease = await coordinator.lease(ttl)
      const lost = new Promise<void>((resolve) => lease.signal.addEventListener('abort', () => resolve()))
      await driver.revoke(lease.id)
      await soon(lost, 'the end of a lease that the engine does not have')
      assert.throws(() => lease.check(), { code: 'BANYAN_LEASE_LOST' })
      assert.equal(lease.held, false)
      assert.ok(lease.remaining <= 0)
    },
  },
  {
    name: 'a session has one lease for all, and a new one when that is lost',
    run: async ({ coordinator, driver, ttl }) => {
      const session = coordinator.session(ttl)
      assert.equal(coordinator.session(ttl), session)
      const [one, two] = await Promise.all([session.lease(), session.lease()])
      assert.equal(one, two)
      const lost = new Promise<void>((resolve) => one.signal.addEventListener('abort', () => resolve()))
      await driver.revoke(one.id)
      await soon(lost, 'the end of the lease')
      const next = await session.lease()
      assert.ok(next.held && next.id !== one.id)
    },
  },
  {
    name: 'a lease of a part of a ms is one of a whole ms',
    run: async ({ coordinator }) => {
      const lease = await coordinator.lease('16.1s')
      assert.ok(lease.held && lease.ttl >= 16_100)
    },
  },
  {
    name: 'what the driver cannot keep for so long, or so shortly, is refused',
    run: async ({ coordinator, capabilities: { minTtl, maxTtl } }) => {
      await refuses(coordinator.lease(minTtl - 1), 'BANYAN_LEASE_TTL', 'too short')
      await refuses(coordinator.lease(maxTtl + 1), 'BANYAN_LEASE_TTL', 'too long')
      assert.throws(() => coordinator.session(minTtl - 1), { code: 'BANYAN_LEASE_TTL' })
    },
  },
]
