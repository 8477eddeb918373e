import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { undoableAccount as account, type AccountCommand } from '../../../test/support/account.js'
import { onEveryLog } from '../../../test/support/every-log.js'
import { collect, newDirectory, newLog } from '../../../test/support/logs.js'
import { BanyanError } from '../../core/errors.js'
import {
  archive,
  fileLines,
  importEvents,
  memorySnapshots,
  openLog,
  repository,
  START,
  type EventLog,
  type SnapshotStore,
} from '../index.js'

const accounts = (log: EventLog, store?: SnapshotStore) =>
  repository(log, account, {
    category: 'account',
    ...(store && { snapshots: { store, version: 1, every: 3 } }),
  })

onEveryLog('removing events', (open) => {
  it('of a stream whose state is kept changes neither states nor what followers get', async () => {
    const log = await open()
    const store = memorySnapshots()
    const repo = accounts(log, store)
    const directory = newDirectory()
    await log.hold('follower', START)
    const stop = new AbortController()
    const following = (async () => {
      const seen: number[] = []
      for await (const { events, position, truncated } of log.follow(
        { stream: 'account-1' },
        { signal: stop.signal, batch: 4 },
      )) {
        expect(truncated).toBe(false)
        seen.push(...events.map(({ revision }) => revision))
        await log.hold('follower', position)
        if (seen.length >= 40) break
      }
      return seen
    })()

    const files = new Set<string>()
    for (let number = 0; number < 40; number++) {
      const { state } = await repo.handle('1', { deposit: number }, { id: `c-${number}` })
      expect(state.balance).toBe((number * (number + 1)) / 2)
      if (number % 7 !== 6) continue
      await repo.load('1')
      const snapshot = await store.read('account-1')
      const what = { stream: 'account-1', beforeRevision: snapshot!.revision + 1 }
      const { file } = await archive(log, what, { directory })
      if (file) files.add(file)
    }
    expect(await following).toEqual(Array.from({ length: 40 }, (_, revision) => revision))
    stop.abort()
    await log.release('follower')
    const last = { stream: 'account-1', beforeRevision: (await store.read('account-1'))!.revision + 1 }
    files.add((await archive(log, last, { directory })).file!)

    expect((await repo.load('1')).state.balance).toBe(780)
    expect(await repo.handle('1', { deposit: 0 }, { id: 'c-0' })).toMatchObject({
      duplicate: true,
      revision: 39,
    })
    expect((await repo.undo('1')).state.balance).toBe(741)
    await expect(accounts(log).load('1')).rejects.toMatchObject({ code: 'BANYAN_HISTORY_TRUNCATED' })

    // What was archived is the history, and can be one again.
    const again = await newLog('memory')
    for (const file of [...files].sort()) await importEvents(again, fileLines(join(file)))
    for (const revision of [0, 10, 20])
      expect((await accounts(again).load('1', { revision })).state.balance).toBe(
        (revision * (revision + 1)) / 2,
      )
  })

  it('is told to who follows from before them, who then goes on', async () => {
    const log = await open()
    const repo = accounts(log)
    for (let deposit = 0; deposit < 6; deposit++) await repo.handle('1', { deposit })
    await log.truncate({ stream: 'account-1', beforeRevision: 4 })
    const revisions: number[] = []
    let missed = false
    for await (const { events, truncated, caughtUp } of log.follow({ stream: 'account-1' })) {
      missed ||= truncated
      revisions.push(...events.map(({ revision }) => revision))
      if (caughtUp) break
    }
    expect([missed, revisions]).toEqual([true, [4, 5]])
  })
})

it('whatever is removed, and whatever snapshots are lost, a state is right or an error', async () => {
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ deposit: fc.integer({ min: 1, max: 9 }) }) },
    { weight: 1, arbitrary: fc.constant('undo' as const) },
    { weight: 2, arbitrary: fc.record({ before: fc.integer({ min: 0, max: 25 }) }) },
    { weight: 1, arbitrary: fc.constantFrom('lose' as const, 'go back' as const) },
  )
  let right = 0
  let refused = 0
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      const [log, whole] = [await openLog('memory:'), await openLog('memory:')]
      const store = memorySnapshots()
      const [repo, model] = [accounts(log, store), accounts(whole)]
      let old = await store.read('account-1')
      const handle = async (on: typeof repo, what: AccountCommand | 'undo'): Promise<unknown> =>
        what === 'undo' ? on.undo('1') : on.handle('1', what)
      const known = async <T>(asking: Promise<T>): Promise<T | undefined> => {
        try {
          const answer = await asking
          right++
          return answer
        } catch (error) {
          if (!(error instanceof BanyanError) || !/TRUNCATED|NOT_UNDOABLE/.test(error.code)) throw error
          refused++
          return undefined
        }
      }
      for (const each of steps) {
        if (each === 'lose') await store.delete('account-1')
        else if (each === 'go back') {
          await store.delete('account-1')
          if (old) await store.write('account-1', old)
        } else if (each === 'undo' || 'deposit' in each) {
          if (await known(handle(repo, each))) await handle(model, each)
        } else {
          old = await store.read('account-1')
          const last = await log.revision('account-1')
          const beforeRevision = Math.min(each.before, last === 'none' ? 0 : last + 1)
          await log.truncate({ stream: 'account-1', beforeRevision })
        }
        const loaded = await known(repo.load('1'))
        if (loaded) expect(loaded).toEqual(await model.load('1'))
        const { revision: latest } = await model.load('1')
        for (const revision of [0, 4, 9]) {
          if (latest === 'none' || revision > latest) continue
          const then = await known(repo.load('1', { revision }))
          if (then) expect(then).toEqual(await model.load('1', { revision }))
        }
        const real = await collect(model.audit('1'))
        for (const { revision, changes } of await collect(repo.audit('1')))
          if (changes) expect(changes).toEqual(real[revision]!.changes)
      }
      await log.close()
      await whole.close()
    }),
    { numRuns: 300 },
  )
  expect(Math.min(right, refused)).toBeGreaterThan(100)
})
