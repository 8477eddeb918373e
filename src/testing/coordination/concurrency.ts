import assert from 'node:assert/strict'
import type { Coordinator } from '../../coordination/coordinator.js'
import { done } from './kit.js'
import { withClients } from './histories.js'
import type { CoordinatorCase } from './setup.js'

/** What happens at the same time. */
export const concurrencyCases: readonly CoordinatorCase[] = [
  {
    name: 'of many who set a key that is not there, one does',
    run: async ({ coordinator, another }) => {
      const handles = [coordinator, await another(), await another()]
      for (let round = 0; round < 10; round++) {
        const results = await Promise.all(
          [...handles, ...handles].map((handle, index) =>
            handle.put(`round/${round}`, `${index}`, { expected: 'absent' }),
          ),
        )
        const winners = results.flatMap((result, index) => (result.ok ? [`${index}`] : []))
        assert.equal(winners.length, 1, `${winners.length} of them did`)
        assert.equal((await coordinator.get(`round/${round}`))?.value, winners[0])
      }
    },
  },
  {
    name: 'a counter that is compared and set loses nothing',
    run: async ({ coordinator, another }) => {
      const handles = [coordinator, await another(), await another()]
      await coordinator.put('counter', '0')
      const revisions = await Promise.all(handles.map((handle) => count(handle, 20)))
      assert.equal((await coordinator.get('counter'))?.value, '60')
      assert.equal(new Set(revisions.flat()).size, 60, 'each change has a revision of its own')
    },
  },
  {
    name: 'whoever sets a key and lists in one step sees everybody who was before, and nobody who was after',
    run: async ({ coordinator, another }) => {
      const handles = [coordinator, await another(), await another()]
      const arrivals = (
        await Promise.all(
          handles.map((handle, by) =>
            Promise.all(
              Array.from({ length: 8 }, (_, index) => handle.putAndList(`line/${by}-${index}`, '', 'line/')),
            ),
          ),
        )
      ).flat()
      const all = arrivals.map(({ put }) => done(put).revision)
      for (const { put, listing } of arrivals) {
        assert.ok(listing.revision >= done(put).revision, 'the listing is of before')
        assert.deepEqual(
          sorted(listing.entries.map(({ revision }) => revision)),
          sorted(all.filter((revision) => revision <= listing.revision)),
          `the listing of the revision ${listing.revision}`,
        )
      }
    },
  },
  {
    name: 'calls at the same time are linearizable',
    run: async ({ coordinator, another }) => {
      const handles = [coordinator, await another(), await another(), await another()]
      await withClients(async (clients) => {
        const enough = (calls: number): boolean => calls >= 60
        await Promise.all(
          handles.flatMap((handle, index) => [
            clients.run(`${index}a`, handle, enough),
            clients.run(`${index}b`, handle, enough),
          ]),
        )
      })
    },
  },
]

async function count(coordinator: Coordinator, times: number): Promise<number[]> {
  const revisions: number[] = []
  while (revisions.length < times) {
    const entry = await coordinator.get('counter')
    const result = await coordinator.put('counter', `${Number(entry!.value) + 1}`, {
      expected: entry!.revision,
    })
    if (result.ok) revisions.push(done(result).revision)
  }
  return revisions
}

function sorted(numbers: readonly number[]): number[] {
  return [...numbers].sort((a, b) => a - b)
}
