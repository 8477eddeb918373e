import { expect, it } from 'vitest'
import { eventTypes, repository, upcasters, type Decider, type EventLog } from '../../src/events/index.js'
import { onEveryLog } from '../support/every-log.js'
import { altered } from '../support/logs.js'
import { z } from 'zod'

interface Event {
  type: 'Added'
  data: { amount: number }
}

const counter: Decider<number, number, Event> = {
  initialState: () => 0,
  decide: (amount) => (amount === 0 ? [] : { type: 'Added', data: { amount } }),
  evolve: (total, { data }) => total + data.amount,
}

onEveryLog('a repository', (open) => {
  it('handles many commands to one stream at once, in the order in which they came', async () => {
    const counters = repository(await open(), counter, { category: 'counter', retries: 0 })
    const handled = await Promise.all(
      Array.from({ length: 50 }, (_, index) => counters.handle('1', index + 1)),
    )
    expect(handled.map(({ revision }) => revision)).toEqual(handled.map((_, index) => index))
    expect(handled.map(({ state }) => state)).toEqual(
      handled.map((_, index) => ((index + 1) * (index + 2)) / 2),
    )
  })

  it('shares the order among repositories of one log', async () => {
    const log = await open()
    const repositories = [0, 1].map(() => repository(log, counter, { category: 'counter', retries: 0 }))
    await Promise.all(Array.from({ length: 20 }, (_, index) => repositories[index % 2]!.handle('1', 1)))
    expect((await repositories[0]!.load('1')).state).toBe(20)
  })

  it('gives the state that a load gives, whatever became of the data', async () => {
    interface At {
      type: 'At'
      data: { at: unknown; note?: string | undefined }
    }
    const dated: Decider<unknown[], Date, At> = {
      initialState: () => [],
      decide: (at) => ({ type: 'At', data: { at, note: undefined } }),
      evolve: (seen, { data }) => [...seen, data.at, Object.keys(data)],
    }
    const things = repository(await open(), dated, { category: 'thing' })
    const { state } = await things.handle('1', new Date(0))
    expect(state).toEqual(['1970-01-01T00:00:00.000Z', ['at']])
    expect((await things.load('1')).state).toEqual(state)
  })

  it('appends nothing that its decider does not take when it is read', async () => {
    const dated: Decider<number, Date, { type: 'At'; data: { at: Date } }> = {
      initialState: () => 0,
      decide: (at) => ({ type: 'At', data: { at } }),
      evolve: (_, { data }) => data.at.getTime(),
    }
    const things = repository(await open(), dated, { category: 'thing' })
    await expect(things.handle('1', new Date(0))).rejects.toThrow('getTime')
    expect(await things.load('1')).toEqual({ state: 0, revision: 'none' })
  })

  it('gives the state of what transforms let be read', async () => {
    const log = await open({
      transforms: [
        eventTypes({ Added: z.object({ amount: z.number().transform((amount) => Math.round(amount)) }) }),
      ],
    })
    const counters = repository(log, counter, { category: 'counter' })
    expect(await counters.handle('1', 2.4)).toMatchObject({ state: 2, revision: 0, duplicate: false })
    expect(await counters.handle('1', 2.6, { id: 'again' })).toMatchObject({ state: 5 })
    expect(await counters.handle('1', 2.6, { id: 'again' })).toMatchObject({ state: 5, duplicate: true })
  })

  it('refuses a command under the id of another one', async () => {
    interface Command {
      type: 'Add' | 'Subtract'
      amount: number
    }
    const typed: Decider<number, Command, Event> = {
      ...counter,
      decide: ({ type, amount }) => ({ type: 'Added', data: { amount: type === 'Add' ? amount : -amount } }),
    }
    const counters = repository(await open(), typed, { category: 'counter' })
    await counters.handle('1', { type: 'Add', amount: 5 }, { id: 'c-1', metadata: { actor: 'ada' } })
    await expect(counters.handle('1', { type: 'Subtract', amount: 5 }, { id: 'c-1' })).rejects.toThrow(
      'the id c-1 belongs to a command Add of counter-1, and this is a command Subtract',
    )
    expect(await counters.handle('1', { type: 'Add', amount: 5 }, { id: 'c-1' })).toMatchObject({
      state: 5,
      duplicate: true,
    })
    for await (const entry of counters.audit('1'))
      expect(entry).toMatchObject({ command: 'c-1', commandType: 'Add', actor: 'ada' })
  })

  it('decides a command anew that has led to nothing', async () => {
    const log = await open()
    let isOpen = false
    const sometimes = { ...counter, decide: (amount: number) => (isOpen ? counter.decide(amount, 0) : []) }
    const counters = repository(log, sometimes, { category: 'counter' })
    expect(await counters.handle('1', 5, { id: 'c-1' })).toMatchObject({ events: 0, duplicate: false })
    isOpen = true
    expect(await counters.handle('1', 5, { id: 'c-1' })).toMatchObject({ events: 1, duplicate: false })
    expect(await counters.handle('1', 5, { id: 'c-1' })).toMatchObject({ state: 5, duplicate: true })
  })

  it('refuses events of a version that its decider does not know', async () => {
    const log = await open()
    await log.append({
      streams: [{ stream: 'counter-1', events: [{ type: 'Added', schemaVersion: 2, data: { by: 1 } }] }],
    })
    const counters = repository(log, counter, { category: 'counter' })
    const newer = { code: 'BANYAN_EVENT_NEWER' }
    await expect(counters.load('1')).rejects.toThrow('schemaVersions: { Added: 2 }')
    await expect(counters.load('1')).rejects.toMatchObject(newer)
    await expect(counters.handle('1', 1)).rejects.toMatchObject(newer)
    const knowing = repository(
      log,
      { ...counter, evolve: () => 7 },
      {
        category: 'counter',
        schemaVersions: { Added: 2 },
      },
    )
    expect((await knowing.load('1')).state).toBe(7)
  })

  it('takes the versions that upcasters of its log give', async () => {
    const log = await open({
      transforms: [upcasters({ Added: { 1: ({ by }: { by: number }) => ({ amount: by }) } })],
    })
    await log.append({
      streams: [{ stream: 'counter-1', events: [{ type: 'Added', schemaVersion: 1, data: { by: 3 } }] }],
    })
    const counters = repository(log, counter, { category: 'counter' })
    expect((await counters.handle('1', 1)).state).toBe(4)
  })

  it('knows no moment that has not been, and no two at once', async () => {
    const counters = repository(await open(), counter, { category: 'counter' })
    const { position } = await counters.handle('1', 5)
    const ahead = { code: 'BANYAN_POSITION_AHEAD' }
    await expect(counters.load('1', { revision: 1 })).rejects.toMatchObject(ahead)
    await expect(counters.load('2', { revision: 0 })).rejects.toMatchObject(ahead)
    await expect(counters.load('1', { position: '9'.repeat(position.length) })).rejects.toMatchObject(ahead)
    await expect(counters.diff('1', { revision: 0 }, { revision: 7 })).rejects.toMatchObject(ahead)
    for (const moment of [{ revision: 0, time: 3 }, {}, { revison: 0 }, { revision: -1 }, { time: NaN }, 3])
      await expect(counters.load('1', moment as never)).rejects.toMatchObject({
        code: 'BANYAN_INVALID_SELECTOR',
      })
    await expect(counters.load('1', { time: new Date() as never })).rejects.toThrow('date.getTime()')
    await expect(counters.load('1', { position: 3 as never })).rejects.toMatchObject({
      code: 'BANYAN_INVALID_POSITION',
    })
    expect((await counters.load('1', { revision: 0 })).state).toBe(5)
    expect((await counters.load('1', { position })).state).toBe(5)
  })

  it('says how often it has tried', async () => {
    const log = await open()
    let append = 0
    const busy: EventLog = altered(log, {
      append: async (commit) => {
        if (commit.id !== undefined)
          await log.append({
            streams: [{ stream: 'counter-1', events: [{ type: 'Added', data: { amount: ++append } }] }],
          })
        return log.append(commit)
      },
    })
    const counters = repository(busy, counter, { category: 'counter', retries: 2 })
    await expect(counters.handle('1', 1)).rejects.toThrow(
      'it was tried 3 times (retries: 2), and nothing was appended',
    )
  })
})
