import assert from 'node:assert/strict'
import { memoryLog } from '../../drivers/memory/log.js'
import { DriverLog } from '../../events/event-log.js'
import type { EventLog } from '../../events/log.js'
import { engineOf } from '../../events/engine.js'
import { START } from '../../events/position.js'
import { epochOf, isReplicated, type ReplicatedDriver, type Shipment } from '../../events/replica.js'
import { load } from '../../events/replication/ship.js'
import { collect, numbered, put, refuses } from './kit.js'
import type { CaseDefinition } from './setup.js'

/** What a follower of a log is given. */
async function shipment(from: ReplicatedDriver, after: string, truncation: number): Promise<Shipment> {
  const { upTo, commits, truncations } = await load(from, after, truncation, 1000)
  const { epochs, holds } = await from.replica.state()
  return { after, upTo, commits, truncations, epochs, holds }
}

async function follower(driver: ReplicatedDriver): Promise<void> {
  const { log, epochs } = await driver.replica.state()
  await driver.replica.become(
    { role: 'follower', log, epochs, leader: 'a test' },
    { role: 'leader', epoch: 1 },
  )
}

/** Of drivers whose logs can be followed, and be followers; others have none of it. */
export const replicaCases: readonly CaseDefinition[] = [
  {
    name: 'replica: what is not a leader refuses appends, truncations and holds, in every process, also after a restart',
    async run({ driver, log, another, restart, capabilities }) {
      if (!isReplicated(driver)) return
      const { position } = await put(log, 'a', 2)
      const before = await driver.replica.state()
      assert.deepEqual([before.role, epochOf(before), before.head], ['leader', 1, position])
      assert.equal(
        (await driver.replica.become({ role: 'follower' }, { role: 'leader', epoch: 2 })).role,
        'leader',
        'it has become what it was not to be from there',
      )
      await driver.replica.become({ role: 'fenced', fencedBy: 2 }, { role: 'leader', epoch: 1 })
      const refusing = async (each: EventLog): Promise<void> => {
        await refuses(put(each, 'a', 1), 'BANYAN_LOG_FENCED', 'an append')
        await refuses(each.truncate({ stream: 'a', beforeRevision: 1 }), 'BANYAN_LOG_FENCED', 'a truncation')
        await refuses(each.hold('h', position), 'BANYAN_LOG_FENCED', 'a hold')
        assert.equal((await collect(each.read())).length, 2)
      }
      await refusing(log)
      await refusing(await another())
      if (capabilities.durable === 'fsync') {
        const again = await restart()
        await refusing(again)
        const state = await (engineOf(again) as ReplicatedDriver).replica.state()
        assert.deepEqual([state.log, state.role, state.fencedBy], [before.log, 'fenced', 2])
      }
    },
  },
  {
    name: 'replica: what a leader ships is there as it is there, once, and what it removes is removed',
    async run({ driver, log }) {
      if (!isReplicated(driver)) return
      const leader = memoryLog()
      const source = new DriverLog(leader)
      await put(source, 'a-1', 3, { tags: ['t'] })
      await source.append({
        id: 'both',
        streams: ['a-1', '$b-1'].map((stream) => ({ stream, events: numbered(2) })),
      })
      await source.hold('h', await source.head())
      await follower(driver)
      const first = await shipment(leader, START, 0)
      assert.equal(await driver.replica.apply(first), true)
      assert.equal(await driver.replica.apply(first), false, 'it was applied twice')
      const same = async (): Promise<void> => {
        assert.deepEqual(await collect(log.read()), await collect(source.read()))
        const byName = (a: { stream: string }, b: { stream: string }): number =>
          a.stream < b.stream ? -1 : 1
        assert.deepEqual(
          (await collect(log.streams())).sort(byName),
          (await collect(source.streams())).sort(byName),
        )
        assert.equal(await log.head(), await source.head())
        assert.deepEqual((await log.stats()).holds, (await source.stats()).holds)
        const wrong = (await collect(log.verify())).filter((finding) => !finding.ok)
        assert.deepEqual(wrong, [], 'verify finds something in a follower')
      }
      await same()
      await source.release('h')
      await source.truncate({ stream: 'a-1', beforeRevision: 2 })
      // Appended and forgotten before it was shipped; a part of a commit, too.
      await put(source, '$b-1', 4)
      await put(source, 'a-1', 1)
      await source.truncate({ stream: '$b-1', beforeRevision: 5, forget: true })
      const { head, truncation } = await driver.replica.state()
      assert.equal(await driver.replica.apply(await shipment(leader, head, truncation)), true)
      await same()
      await source.truncate({ stream: '$b-1', beforeRevision: 6, forget: true })
      const now = await driver.replica.state()
      assert.equal(await driver.replica.apply(await shipment(leader, now.head, now.truncation)), true)
      await same()
      // Once it leads, ids are known, and streams go on.
      await driver.replica.become({ role: 'leader' }, { role: 'follower', epoch: 1 })
      const streams = ['a-1', '$b-1'].map((stream) => ({ stream, events: numbered(2) }))
      const again = await log.append({ id: 'both', streams })
      assert.ok(again.ok && again.duplicate, 'a commit that was shipped is not known')
      await put(log, '$b-1', 1, { expected: 5 })
    },
  },
]
