import fc from 'fast-check'
import { expect, it } from 'vitest'
import { undoableAccount as account, type Account, type AccountEvent } from '../../../test/support/account.js'
import { onEveryLog } from '../../../test/support/every-log.js'
import { collect } from '../../../test/support/logs.js'
import { memorySnapshots, openLog, repository, undoable, type Decider, type EventLog } from '../index.js'

const accounts = (log: EventLog) => repository(log, account, { category: 'account' })
const NOT_UNDOABLE = { code: 'BANYAN_NOT_UNDOABLE' }

onEveryLog('undo and redo', (open) => {
  it('go back and forth as in an editor, and the history says so', async () => {
    const log = await open()
    const repo = accounts(log)
    await repo.handle('1', { deposit: 5 }, { id: 'c-1' })
    await repo.handle('1', { rename: 'a' }, { id: 'c-2' })
    await repo.handle('1', { rename: 'b' }, { id: 'c-3' })
    expect(await repo.undoState('1')).toEqual({ undo: 'c-3', redo: undefined })
    expect(await repo.undo('1', { metadata: { actor: 'ada' } })).toMatchObject({
      state: { balance: 5, name: 'a' },
      revision: 3,
      events: 1,
    })
    expect((await repo.undo('1')).state).toEqual({ balance: 5, open: true, name: '' })
    expect(await repo.undoState('1')).toEqual({ undo: 'c-1', redo: 'c-2' })
    expect((await repo.redo('1')).state.name).toBe('a')
    expect((await repo.redo('1')).state.name).toBe('b')
    await expect(repo.redo('1')).rejects.toMatchObject(NOT_UNDOABLE)
    expect((await repo.undo('1')).state.name).toBe('a')
    expect((await repo.undo('1')).state.name).toBe('')
    expect((await repo.undo('1')).state.balance).toBe(0)
    await expect(repo.undo('1')).rejects.toMatchObject({
      ...NOT_UNDOABLE,
      message: 'nothing of account-1 is left to undo; nothing was appended',
    })
    const trail = await collect(repo.audit('1'))
    expect(trail.map(({ type, undoes, redoes }) => [type, undoes ?? redoes])).toEqual([
      ['Deposited', undefined],
      ['Renamed', undefined],
      ['Renamed', undefined],
      ['Renamed', 'c-3'],
      ['Renamed', 'c-2'],
      ['Renamed', 'c-2'],
      ['Renamed', 'c-3'],
      ['Renamed', 'c-3'],
      ['Renamed', 'c-2'],
      ['Withdrawn', 'c-1'],
    ])
    expect(trail[3]).toMatchObject({ actor: 'ada', undoes: 'c-3' })
  })

  it('a new command leaves nothing to redo', async () => {
    const repo = accounts(await open())
    await repo.handle('1', { deposit: 5 }, { id: 'c-1' })
    await repo.handle('1', { deposit: 6 }, { id: 'c-2' })
    await repo.undo('1')
    await repo.handle('1', { deposit: 7 }, { id: 'c-3' })
    await expect(repo.redo('1')).rejects.toMatchObject(NOT_UNDOABLE)
    expect(await repo.undoState('1')).toEqual({ undo: 'c-3', redo: undefined })
    await repo.undo('1')
    expect(await repo.undoState('1')).toEqual({ undo: 'c-1', redo: 'c-3' })
  })

  it('a command is undone once, whatever has happened since; and so is an undo', async () => {
    const repo = accounts(await open())
    await repo.handle('1', { deposit: 5 }, { id: 'c-1' })
    await repo.handle('1', { deposit: 20 }, { id: 'c-2' })
    expect((await repo.undo('1', { of: 'c-1', id: 'u-1' })).state.balance).toBe(20)
    await expect(repo.undo('1', { of: 'c-1' })).rejects.toMatchObject({
      ...NOT_UNDOABLE,
      message: expect.stringContaining(
        'c-1 was taken back already; the last that is about it is u-1',
      ) as string,
    })
    await repo.handle('1', { deposit: 1 }, { id: 'c-3' })
    // The undo of an undo does it again, also where redo would not.
    await expect(repo.redo('1')).rejects.toMatchObject(NOT_UNDOABLE)
    expect((await repo.undo('1', { of: 'u-1', id: 'r-1' })).state.balance).toBe(26)
    await expect(repo.undo('1', { of: 'u-1' })).rejects.toMatchObject(NOT_UNDOABLE)
    expect((await repo.undo('1', { of: 'r-1' })).state.balance).toBe(21)
    await expect(repo.undo('1', { of: 'r-1' })).rejects.toMatchObject(NOT_UNDOABLE)
    await expect(repo.undo('1', { of: 'c-9' })).rejects.toMatchObject({
      message: expect.stringContaining('no event of it came with a command c-9') as string,
    })
  })

  it('is decided on the present state, which may refuse', async () => {
    const log = await open()
    const repo = accounts(log)
    await repo.handle('1', { deposit: 5 }, { id: 'c-1' })
    await repo.handle('1', { withdraw: 3 }, { id: 'c-2' })
    await expect(repo.undo('1', { of: 'c-1' })).rejects.toThrow('3 would be missing')
    expect(await log.revision('account-1')).toBe(1)
    await repo.handle('1', { deposit: 1 })
    await repo.handle('1', { close: true }, { id: 'c-4' })
    await expect(repo.undo('1')).rejects.toMatchObject({
      ...NOT_UNDOABLE,
      message: expect.stringContaining('has led to Closed, which cannot be taken back') as string,
    })
  })

  it('the same undo is done once, also if it comes twice at the same time', async () => {
    const log = await open()
    const repo = accounts(log)
    for (const deposit of [1, 2, 4]) await repo.handle('1', { deposit }, { id: `c-${deposit}` })
    const undone = await Promise.all(Array.from({ length: 4 }, () => repo.undo('1', { id: 'u-1' })))
    expect(undone.filter(({ duplicate }) => !duplicate).length).toBe(1)
    expect(await repo.undo('1', { id: 'u-1' })).toMatchObject({ duplicate: true, revision: 3 })
    expect((await repo.load('1')).state.balance).toBe(3)
    await expect(repo.undo('1', { expected: 2 })).rejects.toMatchObject({ code: 'BANYAN_CONFLICT' })
  })

  it('takes all events of a command back, the last first, and redoes all', async () => {
    type Event = { type: 'Pushed'; data: string } | { type: 'Popped'; data: string }
    const stack: Decider<readonly string[], string, Event> = {
      initialState: () => [],
      decide: (text) => Array.from(text, (data) => ({ type: 'Pushed', data })),
      evolve: (items, { type, data }) => (type === 'Pushed' ? [...items, data] : items.slice(0, -1)),
    }
    const tops: (string | undefined)[] = []
    const undoableStack = undoable(stack, {
      inverse: {
        Pushed: ({ data }, before, now) => {
          tops.push(now.at(-1))
          return before.length < 4 ? { type: 'Popped', data } : undefined
        },
      },
    })
    const repo = repository(await open(), undoableStack, { category: 'stack' })
    await repo.handle('1', 'a')
    await repo.handle('1', 'bc', { metadata: { actor: 'ada' } })
    expect((await repo.undo('1')).state).toEqual(['a'])
    expect(tops).toEqual(['c', 'b'])
    expect(await repo.redo('1')).toMatchObject({ state: ['a', 'b', 'c'], events: 2 })
    await repo.handle('1', 'de')
    await expect(repo.undo('1')).rejects.toThrow('its decider has no inverse for it here')
  })

  it('works with snapshots, after a restart, and where the beginning was truncated if that is not needed', async () => {
    const log = await open()
    const store = memorySnapshots()
    const reopened = () =>
      repository(log, account, { category: 'account', snapshots: { store, version: 1, every: 3 } })
    for (let index = 0; index < 10; index++)
      await reopened().handle('1', { rename: `n-${index}` }, { id: `c-${index}` })
    expect((await reopened().undo('1')).state.name).toBe('n-8')
    expect((await reopened().undo('1')).state.name).toBe('n-7')
    expect((await reopened().redo('1')).state.name).toBe('n-8')
    const snapshot = await store.read('account-1')
    expect(snapshot!.revision).toBeGreaterThan(4)
    await log.truncate({ stream: 'account-1', beforeRevision: 5 })
    // Its state before was that of events that are gone.
    await expect(reopened().undo('1', { of: 'c-5' })).rejects.toMatchObject({
      code: 'BANYAN_HISTORY_TRUNCATED',
    })
    await reopened().handle('1', { deposit: 4 }, { id: 'last' })
    expect((await reopened().undo('1')).state).toEqual({ balance: 0, open: true, name: 'n-8' })
  })
})

it('is what a model of two stacks says, whatever is done', async () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ rename: fc.constantFrom('a', 'b', 'c') }) },
    { weight: 2, arbitrary: fc.record({ deposit: fc.integer({ min: 1, max: 9 }) }) },
    { weight: 4, arbitrary: fc.constant('undo' as const) },
    { weight: 3, arbitrary: fc.constant('redo' as const) },
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 30 }),
      fc.integer({ min: 1, max: 6 }),
      async (steps, every) => {
        const log = await openLog('memory:')
        const store = memorySnapshots()
        const repo = repository(log, account, {
          category: 'account',
          snapshots: { store, version: 1, every },
        })
        const [done, undone]: Account[][] = [[{ balance: 0, open: true, name: '' }], []]
        for (const each of steps) {
          const present = done!.at(-1)!
          if (each === 'undo') {
            if (done!.length > 1) undone!.push(done!.pop()!)
            await repo.undo('1').catch(() => expect(done!.length).toBe(1))
          } else if (each === 'redo') {
            const next = undone!.pop()
            if (next) done!.push(next)
            await repo.redo('1').catch(() => expect(next).toBeUndefined())
          } else {
            await repo.handle('1', each)
            undone!.length = 0
            done!.push(
              'rename' in each
                ? { ...present, name: each.rename }
                : { ...present, balance: present.balance + each.deposit },
            )
          }
          expect({ name: '', ...(await repo.load('1')).state }).toEqual(done!.at(-1))
        }
        await log.close()
      },
    ),
    { numRuns: 150 },
  )
})

it('what says that it undoes something must be an undo', async () => {
  const log = await openLog('memory:')
  const repo = accounts(log)
  await expect(repo.handle('1', { deposit: 1 }, { metadata: { undoes: 'c-1' } })).rejects.toMatchObject({
    code: 'BANYAN_INVALID_OPTIONS',
  })
  expect(() => undoable(account, { inverse: {}, chek: 1 } as unknown as { inverse: object })).toThrow(
    'did you mean `check`',
  )
  await log.close()
})

it('an inverse of nothing leaves nothing to undo, and one that throws refuses', async () => {
  const log = await openLog('memory:')
  const inverse = {
    Deposited: (): AccountEvent[] => [],
    Renamed: (): never => {
      throw new Error('names stay')
    },
  }
  const repo = repository(log, undoable(account, { inverse }), { category: 'account' })
  await repo.handle('1', { deposit: 1 }, { id: 'c-1' })
  await expect(repo.undo('1')).rejects.toThrow('nothing of account-1 is left to undo')
  expect(await repo.undoState('1')).toEqual({ undo: undefined, redo: undefined })
  await expect(repo.undo('1', { of: 'c-1' })).rejects.toThrow(
    'the command c-1 of account-1 has nothing that could be taken back',
  )
  await repo.handle('1', { rename: 'a' }, { id: 'c-2' })
  await expect(repo.undo('1')).rejects.toThrow('names stay')
  expect(await repo.undoState('1')).toEqual({ undo: 'c-2', redo: undefined })
  expect(await log.revision('account-1')).toBe(1)
  await log.close()
})

it('what there is nothing to make up for does not stand in the way of what was before it', async () => {
  const log = await openLog('memory:')
  const inverse = {
    ...account.inverse,
    Renamed: (): AccountEvent[] => [],
  }
  const repo = repository(log, undoable(account, { inverse }), { category: 'account' })
  await repo.handle('1', { deposit: 1 }, { id: 'c-1' })
  await repo.handle('1', { deposit: 2 }, { id: 'c-2' })
  await repo.handle('1', { rename: 'a' }, { id: 'c-3' })
  expect(await repo.undoState('1')).toEqual({ undo: 'c-2', redo: undefined })
  expect((await repo.undo('1')).state.balance).toBe(1)
  expect(await repo.undoState('1')).toEqual({ undo: 'c-1', redo: 'c-2' })
  expect((await repo.redo('1')).state.balance).toBe(3)
  await log.close()
})
