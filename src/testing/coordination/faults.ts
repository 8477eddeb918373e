import assert from 'node:assert/strict'
import { hasCode } from '../../coordination/errors.js'
import type { Entry } from '../../coordination/coordinator.js'
import { refuses, soon } from '../conformance/kit.js'
import { withClients } from './histories.js'
import { done, pairs, Watching } from './kit.js'
import type { CoordinatorCase } from './setup.js'

const WORDS = { restart: 'crash of the engine', cut: 'loss of the connections' } as const

/** What happens when the engine, or the way to it, fails. */
export const faultCases: readonly CoordinatorCase[] = [
  ...(['restart', 'cut'] as const).map((fault): CoordinatorCase => ({
    name: `calls are linearizable, and nothing is missed, through a ${WORDS[fault]}`,
    needs: [fault],
    run: async ({ coordinator, another, driver, fault: faultOf }) => {
      const handles = [coordinator, await another(), await another()]
      const start = await driver.head()
      const watching = new Watching(coordinator, 'k/', start)
      await withClients(async (clients) => {
        let over = false
        const running = Promise.all(
          handles.map((handle, index) => clients.run(`${index}`, handle, () => over)),
        )
        running.catch(() => undefined)
        for (let round = 1; round <= 2; round++) {
          await grown(clients, running, round * 40)
          await faultOf(fault)()
        }
        await grown(clients, running, clients.calls + 40)
        over = true
        await running
      })
      const { revision } = done(await eventually(() => coordinator.put('k/last', '!')))
      const copy = new Map<string, string>()
      for (const { changes } of await watching.upTo(revision))
        for (const change of changes)
          if (change.kind === 'put') copy.set(change.entry.key, change.entry.value)
          else assert.ok(copy.delete(change.key), `${change.key} is deleted and was not there`)
      assert.deepEqual([...copy].sort(), pairs(await eventually(() => coordinator.list('k/'))).sort())
      await watching.close()
    },
  })),
  {
    name: 'what was acknowledged outlives a restart, and revisions rise on',
    needs: ['restart'],
    run: async ({ coordinator, fault }) => {
      const kept = done(await coordinator.put('kept', '1'))
      const removed = done(await coordinator.put('removed', '1'))
      const removal = await coordinator.delete('removed')
      await fault('restart')()
      assert.equal((await eventually(() => coordinator.get('kept')))?.revision, kept.revision)
      assert.equal(await eventually(() => coordinator.get('removed')), undefined)
      const again = done(await eventually(() => coordinator.put('removed', '2')))
      assert.ok(removal.ok && again.created > removal.revision! && again.created > removed.revision)
    },
  },
  ...(['restart', 'cut'] as const).map((fault): CoordinatorCase => ({
    name: `nobody loses a key that its holder believes in, through a ${WORDS[fault]}`,
    needs: [fault],
    run: async ({ coordinator, another, driver, ttl, fault: faultOf }) => {
      const holder = await another()
      const lease = await holder.lease(4 * ttl)
      await holder.put('held', '1', { lease })
      const watching = new Watching(coordinator, 'held', await driver.head())
      let gone = false
      const deletion = watching.deletion('held').then(
        () => {
          gone = true
          assert.ok(!lease.held, 'the key is gone, and its holder believes in it')
        },
        () => undefined,
      )
      await faultOf(fault)()
      const entry: Entry | undefined = await eventually(() => coordinator.get('held'))
      assert.ok(entry !== undefined || gone || !lease.held)
      // Whoever goes on renewing keeps it; whoever was told that it is gone has given it up.
      if (lease.held) await eventually(() => holder.put('held', '2', { lease })).catch(mustBeLost)
      await watching.close()
      await deletion
    },
  })),
  {
    name: 'while the engine is away calls are refused soon, a lease is given up, and all goes on when it is back',
    needs: ['away'],
    run: async ({ coordinator, another, driver, ttl, fault }) => {
      const holder = await another()
      const session = holder.session(ttl)
      const lease = await session.lease()
      await holder.put('held', '1', { lease })
      const watching = new Watching(coordinator, 'k', await driver.head())
      const lost = new Promise<void>((resolve) => lease.signal.addEventListener('abort', () => resolve()))
      const back = await fault('away')()
      const refusal = coordinator.put('k', 'away').then(
        () => assert.fail('it was set while the engine was away'),
        (error: unknown) => error,
      )
      await soon(lost, 'the end of a lease that nobody can renew')
      const error = await soon(refusal, 'the refusal')
      assert.ok(
        hasCode(error, 'BANYAN_COORDINATOR_UNAVAILABLE') || hasCode(error, 'BANYAN_OUTCOME_UNKNOWN'),
        String(error),
      )
      await refuses(holder.put('other', '1', { lease }), 'BANYAN_LEASE_LOST', 'a change with the lost lease')
      const next = session.lease()
      next.catch(() => undefined)
      await back()
      assert.ok((await soon(next, 'a new lease')).held)
      const { revision } = done(await eventually(() => coordinator.put('k', 'back')))
      const seen = await watching.upTo(revision)
      assert.equal(seen.at(-1)?.revision, revision)
      await watching.close()
    },
  },
]

/** Waits until there are so many calls. */
async function grown(clients: { calls: number }, running: Promise<unknown>, calls: number): Promise<void> {
  const until = async (): Promise<void> => {
    while (clients.calls < calls) await new Promise((resolve) => setTimeout(resolve, 2))
  }
  await soon(
    Promise.race([until(), running.then(() => undefined)]),
    `${calls} calls (there are ${clients.calls})`,
  )
}

/** Calls until the engine answers. */
async function eventually<Value>(call: () => Promise<Value>): Promise<Value> {
  const deadline = performance.now() + 20_000
  for (;;) {
    try {
      return await call()
    } catch (error) {
      const passes =
        hasCode(error, 'BANYAN_COORDINATOR_UNAVAILABLE') || hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')
      if (!passes || performance.now() > deadline) throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

function mustBeLost(error: unknown): void {
  if (!hasCode(error, 'BANYAN_LEASE_LOST')) throw error
}
