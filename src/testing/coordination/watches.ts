import assert from 'node:assert/strict'
import type { Changes, Coordinator } from '../../coordination/coordinator.js'
import { refuses, soon } from '../conformance/kit.js'
import { done, pairs, shown, Watching } from './kit.js'
import type { CoordinatorCase } from './setup.js'

/** Watches. */
export const watchCases: readonly CoordinatorCase[] = [
  {
    name: 'a watch gives every change of its keys once, in order',
    run: async ({ coordinator, driver }) => {
      const watching = new Watching(coordinator, 'k/', await driver.head())
      const first = done(await coordinator.put('k/a', '1'))
      await coordinator.put('other', '1')
      await coordinator.put('k/a', '2')
      await coordinator.put('k', '1')
      await coordinator.delete('k/a')
      await coordinator.delete('other')
      const { revision } = done(await coordinator.put('k/b', '3'))
      const seen = await watching.upTo(revision)
      assert.deepEqual(shown(seen), [['+k/a=1'], ['+k/a=2'], ['-k/a'], ['+k/b=3']])
      assert.deepEqual(seen[0], {
        revision: first.revision,
        changes: [
          {
            kind: 'put',
            entry: { key: 'k/a', value: '1', revision: first.revision, created: first.created },
          },
        ],
      })
      await watching.close()
    },
  },
  {
    name: 'a watch without a revision begins now, says where that is, and gives what comes behind it',
    run: async ({ coordinator }) => {
      const before = done(await coordinator.put('k', '0'))
      const groups = coordinator.watch('k')[Symbol.asyncIterator]()
      const next = groups.next() as Promise<{ value: Changes }>
      let begun = false
      void next.then(() => (begun = true))
      const revisions = [before.revision]
      const put = async (): Promise<boolean> => {
        const hadBegun = begun
        revisions.push(done(await coordinator.put('k', `${revisions.length}`)).revision)
        return hadBegun
      }
      while (!(await put())) await new Promise((resolve) => setImmediate(resolve))
      const { value: first } = await next
      assert.deepEqual(first.changes, [], 'the first has no change')
      assert.ok(first.revision >= before.revision, 'it began before its call')
      for (const [index, revision] of revisions.entries()) {
        if (revision <= first.revision) continue
        const { value } = (await soon(groups.next(), `the change ${index}`)) as { value: Changes }
        assert.deepEqual(shown([value]), [[`+k=${index}`]])
      }
      await groups.return?.()
    },
  },
  {
    name: 'a watch goes on from any revision',
    run: async ({ coordinator, driver }) => {
      const start = await driver.head()
      const revisions = [start]
      for (let index = 0; index < 8; index++) {
        const { revision } = done(await coordinator.put('k', `${index}`))
        revisions.push(revision)
      }
      for (const [index, after] of revisions.slice(0, -1).entries()) {
        const watching = new Watching(coordinator, 'k', after)
        const seen = await watching.upTo(revisions.at(-1)!)
        assert.deepEqual(
          shown(seen).flat(),
          Array.from({ length: 8 - index }, (_, more) => `+k=${index + more}`),
        )
        await watching.close()
      }
    },
  },
  {
    name: 'a listing and a watch behind it are the state, whatever is written meanwhile',
    run: async ({ coordinator, another }) => {
      const other = await another()
      const writers = [coordinator, other].map((writer, index) => writeSome(writer, index))
      const copies = await Promise.all(
        [coordinator, other].map(async (reader) => {
          const { entries, revision } = await reader.list('k/')
          return {
            copy: new Map(entries.map(({ key, value }) => [key, value])),
            watching: new Watching(reader, 'k/', revision),
          }
        }),
      )
      await Promise.all(writers)
      const { revision } = done(await other.put('k/last', '!'))
      const state = pairs(await coordinator.list('k/'))
      for (const { copy, watching } of copies) {
        for (const { changes } of await watching.upTo(revision))
          for (const change of changes) {
            if (change.kind === 'put') copy.set(change.entry.key, change.entry.value)
            else assert.ok(copy.delete(change.key), `${change.key} is deleted and was not there`)
          }
        assert.deepEqual([...copy].sort(), state.sort())
        await watching.close()
      }
    },
  },
  {
    name: 'whoever is slow misses nothing and keeps nobody up',
    run: async ({ coordinator, driver }) => {
      const start = await driver.head()
      const slow = new Watching(coordinator, 'k/', start)
      const fast = new Watching(coordinator, 'k/', start)
      await coordinator.put('k/first', '1')
      await slow.until('the first change', (seen) => seen.length === 1)
      let last = 0
      for (let round = 0; round < 30; round++) {
        const results = await Promise.all(
          Array.from({ length: 100 }, (_, index) => coordinator.put(`k/${index}`, `${round}`)),
        )
        last = Math.max(...results.map((result) => done(result).revision))
      }
      assert.equal((await fast.upTo(last)).length, 3001)
      assert.deepEqual(shown(await slow.upTo(last)), shown(fast.seen))
      await slow.close()
      await fast.close()
    },
  },
  {
    name: 'changes are seen wherever they are watched',
    run: async ({ coordinator, driver, another }) => {
      const others = await Promise.all([another(), another()])
      const start = await driver.head()
      const watches = [coordinator, ...others].map((watcher) => new Watching(watcher, '', start))
      await others[0].put('a', '1')
      await coordinator.put('b', '1')
      const { revision } = done(await others[1].put('c', '1'))
      for (const watching of watches) {
        assert.deepEqual(shown(await watching.upTo(revision)), [['+a=1'], ['+b=1'], ['+c=1']])
        await watching.close()
      }
    },
  },
  {
    name: 'a signal ends a watch, without an error',
    run: async ({ coordinator, driver }) => {
      const before = new AbortController()
      before.abort()
      const never = coordinator.watch('k', { signal: before.signal })[Symbol.asyncIterator]()
      assert.ok((await soon(never.next(), 'the end of a watch that had ended before it began')).done)
      const ending = new AbortController()
      const after = await driver.head()
      const groups = coordinator.watch('k', { after, signal: ending.signal })[Symbol.asyncIterator]()
      await coordinator.put('k', '1')
      assert.deepEqual(shown([((await soon(groups.next(), 'the change')) as { value: Changes }).value]), [
        ['+k=1'],
      ])
      const next = groups.next()
      ending.abort()
      assert.ok((await soon(next, 'the end of the watch')).done)
    },
  },
  {
    name: 'a revision that was not reached is refused',
    run: async ({ coordinator, driver }) => {
      await coordinator.put('k', '1')
      const after = (await driver.head()) + 1000
      await refuses(first(coordinator, after), 'BANYAN_REVISION_AHEAD', 'a watch from the future')
    },
  },
  {
    name: 'a watch says that its changes are not kept any more',
    needs: ['compact'],
    run: async ({ coordinator, driver, fault }) => {
      const start = await driver.head()
      for (let index = 0; index < 10; index++) await coordinator.put('k', `${index}`)
      await fault('compact')()
      await refuses(first(coordinator, start), 'BANYAN_COMPACTED', 'a watch behind what was compacted')
      const { revision } = await coordinator.list('k')
      const watching = new Watching(coordinator, 'k', revision)
      const last = done(await coordinator.put('k', 'last'))
      assert.deepEqual(shown(await watching.upTo(last.revision)), [['+k=last']])
      await watching.close()
    },
  },
]

/** The first that a watch gives, or why it gives nothing. */
async function first(coordinator: Coordinator, after: number): Promise<unknown> {
  const groups = coordinator.watch('k', { after })[Symbol.asyncIterator]()
  try {
    return await groups.next()
  } finally {
    await groups.return?.()
  }
}

async function writeSome(coordinator: Coordinator, writer: number): Promise<void> {
  for (let index = 0; index < 60; index++) {
    const key = `k/${(index * 7 + writer) % 11}`
    if (index % 3 === 2) await coordinator.delete(key)
    else await coordinator.put(key, `${writer}-${index}`)
  }
}
