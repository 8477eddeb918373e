import { expect, it } from 'vitest'
import { account } from '../../../test/support/account.js'
import { onEveryLog } from '../../../test/support/every-log.js'
import { collect } from '../../../test/support/logs.js'
import { auditTrail, causedBy, memorySnapshots, repository, START, type EventLog } from '../index.js'

const accounts = (log: EventLog) => repository(log, account, { category: 'account' })

onEveryLog('looking back', (open) => {
  it('tells what is different between two moments, and what has happened in between', async () => {
    const repo = accounts(await open())
    for (const deposit of [1, 2, 3]) await repo.handle('1', { deposit })
    await repo.handle('1', { rename: 'savings' })
    const third = (await collect(repo.history('1')))[2]!
    const diff = await repo.diff('1', { revision: 0 })
    expect(diff.from).toEqual({ state: { balance: 1, open: true }, revision: 0 })
    expect(diff.to).toEqual({ state: { balance: 6, open: true, name: 'savings' }, revision: 3 })
    expect(diff.changes).toEqual([
      { kind: 'changed', path: '/balance', before: 1, after: 6 },
      { kind: 'added', path: '/name', after: 'savings' },
    ])
    expect((await collect(diff.events)).map(({ revision }) => revision)).toEqual([1, 2, 3])
    // Again, and to an earlier moment.
    expect((await collect(diff.events)).length).toBe(3)
    const back = await repo.diff('1', { position: third.position }, { position: START })
    expect(back.changes).toEqual([{ kind: 'changed', path: '/balance', before: 6, after: 0 }])
    expect((await collect(back.events)).map(({ revision }) => revision)).toEqual([0, 1, 2])
    const none = await repo.diff('1', { revision: 2 }, { time: third.recorded + 100_000 })
    expect(none.changes).toEqual([{ kind: 'added', path: '/name', after: 'savings' }])
    const nothing = await repo.diff('2', { position: START })
    expect([nothing.changes, await collect(nothing.events)]).toEqual([[], []])
  })

  it('tells who did what and why, and what that has changed', async () => {
    const log = await open()
    const repo = accounts(log)
    await repo.handle('1', { deposit: 5 }, { id: 'c-1', metadata: { actor: 'ada', correlationId: 'r-1' } })
    const [first] = await collect(repo.history('1'))
    await repo.handle('1', { close: true }, { id: 'c-2', metadata: causedBy(first!, { actor: 'bob' }) })
    const trail = await collect(repo.audit('1'))
    expect(trail).toMatchObject([
      {
        actor: 'ada',
        command: 'c-1',
        correlationId: 'r-1',
        revision: 0,
        type: 'Deposited',
        data: { amount: 5 },
        changes: [{ path: '/balance', before: 0, after: 5 }],
      },
      { actor: 'bob', command: 'c-2', causationId: 'c-1/0', type: 'Withdrawn', changes: [{ after: 0 }] },
      { actor: 'bob', command: 'c-2', correlationId: 'r-1', changes: [{ path: '/open', after: false }] },
    ])
    expect(trail[0]).toMatchObject({
      time: first!.time,
      recorded: first!.recorded,
      position: first!.position,
    })
    expect((await collect(repo.audit('1', { actor: 'bob' }))).map(({ changes }) => changes)).toEqual([
      [{ kind: 'changed', path: '/balance', before: 5, after: 0 }],
      [{ kind: 'changed', path: '/open', before: true, after: false }],
    ])
    const since = await collect(repo.audit('1', { from: trail[1]!.position }))
    expect(since.map(({ changes }) => changes)).toEqual([
      [{ kind: 'changed', path: '/open', before: true, after: false }],
    ])
    const [none] = await collect(auditTrail(log, { stream: 'account-1', to: trail[0]!.position }))
    expect(none).not.toHaveProperty('changes')
  })

  it('goes over all streams by actor and correlation, and leaves those of patterns out', async () => {
    const log = await open()
    const repo = accounts(log)
    for (let index = 0; index < 30; index++) {
      const metadata = { actor: index % 2 ? 'ada' : 'bob', correlationId: `r-${index % 3}` }
      await repo.handle(String(index % 5), { deposit: 1 }, { metadata })
    }
    await log.append({
      streams: [{ stream: '$sub-1', events: [{ type: 'Moved', metadata: { actor: 'ada' } }] }],
    })
    await log.append({
      streams: [{ stream: 'other-1', events: [{ type: 'Made', metadata: { actor: 'ada' } }] }],
    })
    const adas = await collect(auditTrail(log, { actor: 'ada' }))
    expect(adas.length).toBe(16)
    expect(adas.at(-1)).toMatchObject({ stream: 'other-1' })
    expect(await collect(auditTrail(log, { category: '$sub' }))).toMatchObject([{ type: 'Moved' }])
    const both = await collect(repo.auditAll({ actor: 'ada', correlationId: 'r-1' }))
    expect(both.length).toBe(5)
    for (const { revision, changes } of both)
      expect(changes).toEqual([{ kind: 'changed', path: '/balance', before: revision, after: revision + 1 }])
  })

  it('where the beginning was truncated, tells what is left; changes only where the state is known', async () => {
    const log = await open()
    const store = memorySnapshots()
    const kept = repository(log, account, { category: 'account', snapshots: { store, version: 1, every: 5 } })
    for (let deposit = 1; deposit <= 8; deposit++) await kept.handle('1', { deposit })
    await log.truncate({ stream: 'account-1', beforeRevision: 5 })
    expect(await collect(accounts(log).audit('1'))).toMatchObject([
      { revision: 5 },
      { revision: 6 },
      { revision: 7 },
    ])
    for (const entry of await collect(accounts(log).audit('1'))) expect(entry.changes).toBeUndefined()
    const [first] = await collect(kept.audit('1'))
    expect(first).toMatchObject({ revision: 5, changes: [{ before: 15, after: 21 }] })
    await expect(accounts(log).diff('1', { revision: 5 })).rejects.toMatchObject({
      code: 'BANYAN_HISTORY_TRUNCATED',
    })
    const { position } = first!
    expect((await kept.diff('1', { position })).changes).toEqual([
      { kind: 'changed', path: '/balance', before: 21, after: 36 },
    ])
  })
})
