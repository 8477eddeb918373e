import fc from 'fast-check'
import { expect, it } from 'vitest'
import { account, type Account, type AccountEvent } from '../../../test/support/account.js'
import { onEveryLog } from '../../../test/support/every-log.js'
import { altered, collect as all } from '../../../test/support/logs.js'
import { openLog, type EventLog } from '../index.js'
import { memorySnapshots, repository, type SnapshotStore } from './index.js'

const accounts = (log: EventLog, store?: SnapshotStore, every = 10) =>
  repository(log, account, {
    category: 'account',
    ...(store && { snapshots: { store, version: 1, every } }),
  })

onEveryLog('a repository', (open) => {
  it('decides on what has happened, and appends what happens', async () => {
    const log = await open()
    const repo = accounts(log)
    expect(await repo.load('1')).toEqual({ state: { balance: 0, open: true }, revision: 'none' })
    const first = await repo.handle('1', { deposit: 100 }, { metadata: { actor: 'ada' } })
    expect(first).toMatchObject({ state: { balance: 100 }, revision: 0, events: 1, duplicate: false })
    const closed = await repo.handle('1', { close: true })
    expect(closed).toMatchObject({ state: { balance: 0, open: false }, revision: 2, events: 2 })
    expect(closed.position > first.position).toBe(true)
    const history = await all(repo.history('1'))
    expect(history.map(({ type, stream, metadata }) => [type, stream, metadata.actor])).toEqual([
      ['Deposited', 'account-1', 'ada'],
      ['Withdrawn', 'account-1', undefined],
      ['Closed', 'account-1', undefined],
    ])
  })

  it('appends nothing of what is refused, or leads to nothing', async () => {
    const log = await open()
    const repo = accounts(log)
    await repo.handle('1', { deposit: 10 })
    await expect(repo.handle('1', { withdraw: 11 })).rejects.toThrow('only 10 is there')
    expect(await repo.handle('1', { withdraw: 0 })).toMatchObject({ revision: 0, events: 0, position: '0' })
    expect(await log.revision('account-1')).toBe(0)
  })

  it('gives a repeated command its first result, also where it would be refused by now', async () => {
    for (const store of [undefined, memorySnapshots()]) {
      const log = await open()
      const repo = accounts(log, store, 2)
      const first = await repo.handle('1', { deposit: 5 }, { id: 'command-1' })
      for (let deposit = 1; deposit <= 6; deposit++) await repo.handle('1', { deposit })
      await repo.handle('1', { close: true }, { id: 'command-2' })
      const again = await repo.handle('1', { deposit: 5 }, { id: 'command-1' })
      expect(again).toMatchObject({ duplicate: true, position: first.position, events: 1 })
      expect(await repo.handle('1', { close: true }, { id: 'command-2' })).toMatchObject({
        duplicate: true,
        events: 2,
        state: { open: false },
      })
      await expect(repo.handle('2', { deposit: 5 }, { id: 'command-1' })).rejects.toMatchObject({
        code: 'BANYAN_COMMIT_OVERLAP',
      })
    }
  })

  it('decides again when others were faster, so that no command is decided on an old state', async () => {
    const log = await open()
    const repo = repository(log, account, { category: 'account', retries: 50 })
    await repo.handle('1', { deposit: 10 })
    const results = await Promise.allSettled(
      Array.from({ length: 20 }, () => repo.handle('1', { withdraw: 1 })),
    )
    expect(results.filter(({ status }) => status === 'fulfilled').length).toBe(10)
    expect(await repo.load('1')).toEqual({ state: { balance: 0, open: true }, revision: 10 })
  })

  it('handles a command that comes twice at the same time once', async () => {
    const log = await open()
    const repo = accounts(log)
    const results = await Promise.all(
      Array.from({ length: 5 }, () => repo.handle('1', { deposit: 7 }, { id: 'once' })),
    )
    expect(results.filter(({ duplicate }) => !duplicate).length).toBe(1)
    expect(results.every(({ state }) => state.balance === 7)).toBe(true)
    expect(await log.revision('account-1')).toBe(0)
  })

  it('decides nothing at another revision than the one that was seen', async () => {
    const log = await open()
    const repo = accounts(log)
    await repo.handle('1', { deposit: 1 }, { expected: 'none' })
    await expect(repo.handle('1', { deposit: 1 }, { expected: 'none' })).rejects.toMatchObject({
      code: 'BANYAN_CONFLICT',
    })
    await repo.handle('1', { deposit: 1 }, { expected: 0 })
    expect(await log.revision('account-1')).toBe(1)
  })

  it('travels in time: to a revision, a position, a time', async () => {
    const log = await open()
    const repo = accounts(log, memorySnapshots(), 1)
    for (let deposit = 1; deposit <= 5; deposit++) await repo.handle('1', { deposit })
    const [, , third] = await all(repo.history('1'))
    await repo.load('1')
    expect(await repo.load('1', { revision: 2 })).toMatchObject({ state: { balance: 6 }, revision: 2 })
    expect(await repo.load('1', { position: third!.position })).toMatchObject({ state: { balance: 6 } })
    expect(await repo.load('1', { position: '0' })).toMatchObject({ state: { balance: 0 }, revision: 'none' })
    expect(await repo.load('1', { time: third!.recorded - 100_000 })).toMatchObject({ revision: 'none' })
    expect(await repo.load('1', { time: third!.recorded + 100_000 })).toMatchObject({ revision: 4 })
  })

  it('reads only what is behind the snapshot', async () => {
    const log = await open()
    const store = memorySnapshots()
    for (let deposit = 1; deposit <= 30; deposit++) await accounts(log, store).handle('1', { deposit })
    const snapshot = await store.read('account-1')
    expect(snapshot!.revision).toBeGreaterThan(15)
    const read: number[] = []
    const spy = {
      ...account,
      evolve: (state: Account, event: AccountEvent) => (read.push(1), account.evolve(state, event)),
    }
    const repo = repository(log, spy, { category: 'account', snapshots: { store, version: 1, every: 10 } })
    expect(await repo.load('1')).toMatchObject({ state: { balance: 465 }, revision: 29 })
    expect(read.length).toBe(29 - snapshot!.revision)
  })

  it('reads nothing before the snapshot for a command with an id that can be decided', async () => {
    const log = await open()
    const store = memorySnapshots()
    for (let deposit = 1; deposit <= 30; deposit++) await accounts(log, store).handle('1', { deposit })
    const snapshot = await store.read('account-1')
    const asked: (number | undefined)[] = []
    const watched = altered(log, {
      read: (selector, options) => (asked.push(options?.fromRevision), log.read(selector, options)),
    })
    await accounts(watched, store).handle('1', { deposit: 1 }, { id: 'one' })
    expect(asked).toEqual([snapshot!.revision])
  })

  it('knows a command that was handled before the snapshot, and where its events were truncated', async () => {
    const log = await open()
    const store = memorySnapshots()
    const repo = accounts(log, store, 5)
    const first = await repo.handle('1', { deposit: 7 }, { id: 'first' })
    for (let deposit = 1; deposit <= 11; deposit++) await repo.handle('1', { deposit })
    const repeated = { id: 'first', duplicate: true, position: first.position, events: 1, revision: 11 }
    expect(await repo.handle('1', { deposit: 7 }, { id: 'first' })).toMatchObject(repeated)
    expect(await repo.handle('1', { deposit: 7 }, { id: 'first', expected: 'none' })).toMatchObject(repeated)
    await log.truncate({ stream: 'account-1', beforeRevision: 5 })
    expect(await repo.handle('1', { deposit: 7 }, { id: 'first' })).toMatchObject(repeated)
    expect(await log.revision('account-1')).toBe(11)
  })

  it('a stream whose beginning was truncated needs a snapshot', async () => {
    const log = await open()
    const store = memorySnapshots()
    for (let deposit = 1; deposit <= 12; deposit++) await accounts(log, store, 5).handle('1', { deposit })
    await log.truncate({ stream: 'account-1', beforeRevision: 5 })
    expect(await accounts(log, store, 5).load('1')).toMatchObject({ state: { balance: 78 }, revision: 11 })
    await expect(accounts(log).load('1')).rejects.toMatchObject({ code: 'BANYAN_HISTORY_TRUNCATED' })
    await log.truncate({ stream: 'account-1', beforeRevision: 12 })
    await expect(accounts(log).load('1')).rejects.toMatchObject({ code: 'BANYAN_HISTORY_TRUNCATED' })
    await expect(accounts(log).handle('1', { deposit: 1 })).rejects.toMatchObject({
      code: 'BANYAN_HISTORY_TRUNCATED',
    })
  })
})

it('with snapshots, whatever becomes of them, states are those of the events', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.oneof(
          fc.record({ deposit: fc.integer({ min: 1, max: 9 }) }),
          fc.constantFrom('lose' as const, 'age' as const, 'garble' as const, 'other history' as const),
        ),
        { maxLength: 25 },
      ),
      fc.integer({ min: 1, max: 5 }),
      async (steps, every) => {
        const log = await openLog('memory:')
        const store = memorySnapshots()
        const repo = accounts(log, store, every)
        let balance = 0
        for (const step of steps) {
          const snapshot = await store.read('account-1')
          if (typeof step === 'object') {
            balance += step.deposit
            expect((await repo.handle('1', step)).state.balance).toBe(balance)
          } else if (step === 'lose') await store.delete('account-1')
          else if (snapshot) {
            await store.delete('account-1')
            if (step === 'age') await store.write('account-1', { ...snapshot, version: 0, state: '{}' })
            if (step === 'garble') await store.write('account-1', { ...snapshot, state: '{' })
            if (step === 'other history')
              await store.write('account-1', { ...snapshot, event: 'another', state: '{"balance":-1}' })
          }
          expect((await repo.load('1')).state.balance).toBe(balance)
        }
        await log.close()
      },
    ),
    { numRuns: 60 },
  )
})
