import { describe, expect, expectTypeOf, it } from 'vitest'
import * as v from 'valibot'
import { repository, type Decider } from '../event-sourcing/index.js'
import { causedBy } from '../caused-by.js'
import { DriverLog } from '../event-log.js'
import { memoryLog } from '../../drivers/memory/log.js'
import { memoryReadModels, type MemoryTables } from '../../drivers/memory/read-models.js'
import { projection, readModels } from '../projections/index.js'
import { command, commands, queries, query, type CallMiddleware } from './index.js'

interface Added {
  type: 'Added'
  data: { amount: number }
}

const counter: Decider<number, number, Added> = {
  initialState: () => 0,
  decide: (amount) => ({ type: 'Added', data: { amount } }),
  evolve: (sum, event) => sum + event.data.amount,
}

function open(use: CallMiddleware[] = []) {
  const log = new DriverLog(memoryLog())
  const counters = repository(log, counter, { category: 'counter' })
  const app = commands(
    log,
    {
      add: command(
        v.object({ counter: v.string(), amount: v.optional(v.number(), 1) }),
        async ({ counter, amount }, context) => {
          const { state } = await context.handle(counters, counter, amount)
          return state
        },
      ),
      note: command(async (text: string, context) => {
        await context.append({ streams: [{ stream: 'notes', events: [{ type: 'Noted', data: { text } }] }] })
        await context.append({ streams: [{ stream: 'notes', events: [{ type: 'Counted' }] }] })
      }),
      claim: command(async (name: string, { append }) => {
        await append({
          streams: [{ stream: `name-${name}`, expected: 'none', events: [{ type: 'Claimed' }] }],
        })
      }),
      nothing: command(() => 7),
    },
    { use },
  )
  const sums = projection<Added, MemoryTables>({
    name: 'sums',
    version: 1,
    select: { category: 'counter' },
    setup: ({ db, table }) => db.create(table('sum')),
    on: {
      Added({ stream, data }, { db, table }) {
        const rows = db.table<number>(table('sum'))
        rows.set(stream, (rows.get(stream) ?? 0) + data.amount)
      },
    },
  })
  const models = readModels(memoryReadModels(), log)
  const read = queries(
    models,
    {
      sum: query(sums, v.object({ counter: v.string() }), ({ counter }, { db, table }) =>
        db.table<number>(table('sum')).get(`counter-${counter}`),
      ),
      all: query(sums, (_: undefined, { db, table }) => db.table<number>(table('sum')).entries()),
    },
    { use },
  )
  const close = async (): Promise<void> => {
    await models.close()
    await log.close()
  }
  return { log, app, models, sums, read, [Symbol.asyncDispose]: close }
}

describe('commands', () => {
  it('give a result and a token, with which a query sees what they did', async () => {
    await using world = open()
    world.models.run(world.sums)
    for (let round = 1; round <= 20; round++) {
      const { result, token } = await world.app.execute('add', { counter: 'a', amount: 2 })
      expectTypeOf(result).toEqualTypeOf<number>()
      expect(result).toBe(2 * round)
      const seen = await world.read.ask('sum', { counter: 'a' }, { after: token })
      expectTypeOf(seen).toEqualTypeOf<number | undefined>()
      expect(seen).toBe(2 * round)
    }
    expect(await world.read.ask('all', undefined, { consistency: 'strong' })).toEqual([['counter-a', 40]])
  })

  it('take what their schema makes of an input, and refuse what it does not take before anything is done', async () => {
    await using world = open()
    expect((await world.app.execute('add', { counter: 'a' })).result).toBe(1)
    // @ts-expect-error the compiler says so too
    await expect(world.app.execute('add', { counter: 5 })).rejects.toMatchObject({
      code: 'BANYAN_INVALID_INPUT',
      message: expect.stringContaining('the input of the command add is not valid: counter: ') as string,
    })
    // @ts-expect-error the compiler says so too
    await expect(world.read.ask('sum', {})).rejects.toMatchObject({ code: 'BANYAN_INVALID_INPUT' })
    // @ts-expect-error the compiler says so too
    await expect(world.app.execute('ad', {})).rejects.toMatchObject({
      code: 'BANYAN_UNKNOWN_HANDLER',
      message: 'there is no command "ad", did you mean add?',
    })
    // @ts-expect-error the compiler says so too
    await expect(world.app.execute('toString', {})).rejects.toMatchObject({ code: 'BANYAN_UNKNOWN_HANDLER' })
    await expect(world.app.execute('add', { counter: 'a' }, { actr: 'me' } as object)).rejects.toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
    })
    expect((await world.log.stats()).events).toBe(1)
  })

  it('do once what is said twice under one id, with all of their commits', async () => {
    await using world = open()
    const once = await world.app.execute('note', 'x', { id: 'c1' })
    const again = await world.app.execute('note', 'x', { id: 'c1' })
    expect(again.token).toBe(once.token)
    const found = []
    for await (const { type, commit } of world.log.read()) found.push([type, commit])
    expect(found).toEqual([
      ['Noted', 'c1'],
      ['Counted', 'c1:2'],
    ])
    const first = await world.app.execute('add', { counter: 'a' }, { id: 'c2' })
    expect(await world.app.execute('add', { counter: 'a' }, { id: 'c2' })).toEqual(first)
  })

  it('say in every event who did it and what it belongs to', async () => {
    await using world = open()
    const { id } = await world.app.execute('note', 'x', { actor: 'ada' })
    await world.app.execute(
      'add',
      { counter: 'a' },
      { id: 'c2', correlationId: 'r1', metadata: { tenant: 't' } },
    )
    const event = { id: 'e1', metadata: { correlationId: 'r2', actor: 'bob' } }
    await world.app.execute('note', 'y', { id: 'c3', metadata: causedBy(event, { policy: 'p' }) })
    const found = []
    for await (const { metadata } of world.log.read()) found.push(metadata)
    expect(found).toEqual([
      { commandType: 'note', correlationId: id, causationId: id, actor: 'ada' },
      { commandType: 'note', correlationId: id, causationId: id, actor: 'ada' },
      { commandType: 'add', correlationId: 'r1', causationId: 'c2', tenant: 't' },
      ...Array<object>(2).fill({
        ...{ commandType: 'note', correlationId: 'r2', causationId: 'c3', actor: 'bob', policy: 'p' },
      }),
    ])
  })

  it('are not done in the name of somebody else, whatever their events say', async () => {
    await using log = new DriverLog(memoryLog())
    const app = commands(log, {
      copy: command(async (actor: string, { append }) => {
        const metadata = { actor, reason: 'asked' }
        await append({ streams: [{ stream: 'notes', events: [{ type: 'Noted', metadata }] }] })
      }),
    })
    await app.execute('copy', 'bob', { actor: 'ada' })
    await app.execute('copy', 'bob')
    const found = []
    for await (const { metadata } of log.read()) found.push([metadata.actor, metadata['reason']])
    expect(found).toEqual([
      ['ada', 'asked'],
      ['bob', 'asked'],
    ])
  })

  it('throw a conflict, and give a token that asks for nothing where nothing was done', async () => {
    await using world = open()
    await world.app.execute('claim', 'ada')
    await expect(world.app.execute('claim', 'ada')).rejects.toMatchObject({ code: 'BANYAN_CONFLICT' })
    expect(await world.app.execute('nothing', undefined)).toMatchObject({ result: 7, token: '0' })
  })

  it('that middleware tries again append once', async () => {
    let tries = 0
    const { app, log, models, sums, read } = open([
      async (_, next) => {
        await next()
        tries++
        return next()
      },
    ])
    await app.execute('note', 'a', { id: 'n' })
    expect(tries).toBe(1)
    expect((await log.stats()).events).toBe(2)
    models.run(sums)
    const { token } = await app.execute('add', { counter: '1' })
    expect(await read.ask('sum', { counter: '1' }, { after: token })).toBe(1)
  })

  it('do nothing more once they were given up, and need no input that may be undefined', async () => {
    const { app, log } = open()
    const gone = AbortSignal.abort(new Error('gone'))
    await expect(app.execute('note', 'a', { signal: gone })).rejects.toThrow('gone')
    expect((await log.stats()).events).toBe(0)
    expect(await app.execute('nothing')).toMatchObject({ result: 7 })
    // @ts-expect-error It has no handler.
    expect(() => command()).toThrow('a command needs a handler')
    // @ts-expect-error It has no handler.
    expect(() => query('sums')).toThrow('a query needs a handler')
  })

  it('and queries go through middleware, the first outermost, which may refuse', async () => {
    const calls: string[] = []
    const note =
      (name: string): CallMiddleware =>
      async (call, next) => {
        calls.push(`${name} ${call.kind} ${call.name} ${JSON.stringify(call.input)}`)
        const result = await next()
        calls.push(`${name} ends`)
        return result
      }
    const refuse: CallMiddleware = (call, next) => {
      if (call.options.actor === 'eve') throw new Error('not you')
      return next()
    }
    await using world = open([note('outer'), refuse, note('inner')])
    await world.app.execute('add', { counter: 'a' })
    expect(calls).toEqual([
      'outer command add {"counter":"a","amount":1}',
      'inner command add {"counter":"a","amount":1}',
      'inner ends',
      'outer ends',
    ])
    await expect(world.app.execute('add', { counter: 'a' }, { actor: 'eve' })).rejects.toThrow('not you')
    expect((await world.log.stats()).events).toBe(1)
  })
})
