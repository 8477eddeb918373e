import { afterEach, expect, test } from 'vitest'
import { runSagas, saga, type EventLog } from '../../src/events/index.js'
import { closeAll, eventsOf, setUp } from './shop.js'

afterEach(closeAll)

/** Sagas of one step, in a process that has taken all partitions. */
async function ready(work: (order: { sku: string }, key: string) => unknown, concurrency = 256) {
  const definition = saga<{ sku: string }>({
    name: 'order',
    run: (order, { step, now }) => {
      const begun = now()
      return step('reserve', async ({ idempotencyKey }) => ({
        begun,
        did: await work(order, idempotencyKey),
      }))
    },
  })
  const shop = await setUp([definition], { concurrency })
  const runner = await shop.run()
  for (let number = 0; number < 20; number++) {
    const { id } = await shop.settle(shop.all.start(definition, { sku: 'first' }, { id: `first-${number}` }))
    await shop.outcome(id)
  }
  return { ...shop, definition, runner }
}

/** The ids of the commits of a saga, in order. */
async function commitsOf(log: EventLog, id: string): Promise<string[]> {
  return (await eventsOf(log, id)).map(({ commit }) => commit)
}

test('a saga that is started where it will be run begins with the commit that starts it', async () => {
  const { all, definition, log, outcome } = await ready(() => 'done')
  const { id } = await all.start(definition, { sku: 'A' })
  expect(await outcome(id)).toMatchObject({ outcome: 'completed', result: { did: 'done' } })
  const [started, begun, ended] = await commitsOf(log, id)
  expect(begun).toBe(started)
  expect(ended).not.toBe(started)
})

test('what its code sees is what it sees when it is run again', async () => {
  const given = { sku: 'A', at: new Date(0), more: undefined }
  const results: unknown[] = []
  const definition = saga<typeof given>({
    name: 'order',
    async run(order, { step, now, signal }) {
      results.push([order, await step('reserve', () => ({ at: new Date(5), no: undefined })), now()])
      await signal('go')
      return now()
    },
  })
  const { all, run, settle, runtime, log } = await setUp([definition])
  const first = await run()
  for (const id of ['1', '2', '3']) {
    await settle(all.start(definition, given, { id }))
    await runtime.clock.advance(100)
  }
  given.sku = 'B'
  await first.close()
  await run()
  for (const id of ['order/1', 'order/2', 'order/3']) {
    await all.signal(id, 'go')
    await settle(all.outcome(id))
  }
  expect(results).toHaveLength(6)
  expect(results.slice(3)).toEqual(results.slice(0, 3))
  expect(results[2]).toEqual([
    { sku: 'A', at: new Date(0).toJSON() },
    { at: new Date(5).toJSON() },
    expect.any(Number),
  ])
  expect(new Set(await commitsOf(log, 'order/3')).size).toBeLessThan((await eventsOf(log, 'order/3')).length)
})

test('whoever takes over calls a step that was begun with the start again, under the same key', async () => {
  const keys: string[] = []
  let hang = true
  const { all, definition, runner, run, outcome, settle } = await ready((order, key) => {
    if (order.sku === 'first') return undefined
    keys.push(key)
    return hang ? new Promise(() => undefined) : 'done'
  })
  const { id } = await settle(all.start(definition, { sku: 'A' }))
  expect(keys).toHaveLength(1)
  hang = false
  await runner.close()
  await run()
  expect(await outcome(id)).toMatchObject({ outcome: 'completed', result: { did: 'done' } })
  expect(keys).toEqual([`${id}/reserve/run`, `${id}/reserve/run`])
})

test('no more go on at the same time than are to', async () => {
  let now = 0
  let most = 0
  const { all, definition, outcome, runtime, settle } = await ready(async ({ sku }) => {
    if (sku === 'first') return
    most = Math.max(most, ++now)
    await new Promise<void>((resolve) => runtime.clock.schedule(runtime.clock.now() + 50, resolve))
    now--
  }, 3)
  const started = await settle(
    Promise.all(Array.from({ length: 20 }, () => all.start(definition, { sku: 'A' }))),
  )
  for (const { id } of started) await outcome(id)
  expect(most).toBe(3)
})

test('of two that start the same at the same moment, one is told that it was there', async () => {
  let calls = 0
  const { all, definition, outcome, settle } = await ready(({ sku }) => sku === 'A' && ++calls)
  const given = Array.from({ length: 5 }, () => all.start(definition, { sku: 'A' }, { id: 'same' }))
  const started = await settle(Promise.all(given))
  expect(started.filter(({ duplicate }) => !duplicate)).toHaveLength(1)
  expect(await outcome('order/same')).toMatchObject({ outcome: 'completed' })
  expect(calls).toBe(1)
})

test('with two who run sagas in one process, each saga is run by one of them', async () => {
  const ran = new Map<string, number>()
  const { all, definition, log, outcome, runtime, settle } = await ready(({ sku }, key) => {
    if (sku === 'A') ran.set(key, (ran.get(key) ?? 0) + 1)
  })
  const other = await runSagas(log, { definitions: [definition], runtime })
  const started = []
  for (let number = 0; number < 50; number++) {
    if (number % 10 === 0) await runtime.clock.advance(50)
    started.push(await settle(all.start(definition, { sku: 'A' })))
  }
  for (const { id } of started) await outcome(id)
  expect([...ran.values()]).toEqual(Array.from({ length: 50 }, () => 1))
  await settle(other.close())
})

test('options that sagas() does not know, or cannot take, are refused', async () => {
  const { all, definition } = await ready(() => 'done')
  const id = 'order/first-1'
  const wrong: [() => unknown, string][] = [
    [() => all.list({ status: 'nope' as never }), 'list: status must be one of'],
    [() => all.list({ limit: -1 }), 'list: limit must be a number of at least 0, got -1'],
    [() => all.list({ foo: 1 } as never), 'list: foo is not an option'],
    [() => all.list({ saga: 'no name' }), 'the name of a saga'],
    [() => all.follow({ form: '0' } as never), 'follow: form is not an option'],
    [() => all.start(definition, { sku: 'A' }, { ID: '1' } as never), 'start: ID is not an option'],
    [() => all.start(definition, { sku: 'A' }, { metadata: 'me' as never }), 'start: metadata must be'],
    [() => all.start(undefined as never), 'start needs a saga or the name of one'],
    [() => all.start({} as never), 'start needs a saga or the name of one'],
    [() => all.outcome(id, { timeout: 1 } as never), 'outcome: timeout is not an option'],
    [() => all.signal(id, ''), 'the name of a signal is text'],
    [() => all.signal(id, 7 as never), 'the name of a signal is text'],
    [() => all.signal(id, 'paid', 1, { id: '' }), 'the id of a signal is text'],
    [() => all.signal(id, 'paid', 1, { ID: '1' } as never), 'signal: ID is not an option'],
    [() => all.cancel(id, { why: 'x' } as never), 'cancel: why is not an option'],
    [() => all.retry(id, { reason: 1 as never }), 'retry: reason must be text'],
    [() => all.skip(id, { Result: 1 } as never), 'skip: Result is not an option'],
    [() => all.query(id, 3 as never), 'the name of a query is text'],
    [() => all.show(3 as never), 'a saga is named by its whole id'],
  ]
  for (const [call, message] of wrong) {
    // What gives an iterable is refused at once.
    const error: unknown = await Promise.resolve()
      .then(call)
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ code: 'BANYAN_INVALID_OPTIONS' })
    expect((error as Error).message).toContain(message)
  }
})

test('a signal under the id of another one is refused, and the same again does nothing', async () => {
  const definition = saga({ name: 'order', run: (_, { signal }) => signal('paid') })
  const { all, run, outcome, log } = await setUp([definition])
  const { id } = await all.start(definition)
  await all.signal(id, 'paid', { at: new Date(0) }, { id: '1', actor: 'ada' })
  await all.signal(id, 'paid', { at: new Date(0) }, { id: '1' })
  for (const [name, payload] of [
    ['paid', { amount: 8 }],
    ['paid', undefined],
    ['sent', { at: new Date(0) }],
  ] as const)
    await expect(all.signal(id, name, payload, { id: '1' })).rejects.toMatchObject({
      code: 'BANYAN_COMMIT_OVERLAP',
      message: expect.stringContaining(`signal 1 was given to saga ${id} before, as paid with`) as string,
    })
  await run()
  expect(await outcome(id)).toEqual({ outcome: 'completed', result: { at: new Date(0).toJSON() } })
  expect(await eventsOf(log, id)).toHaveLength(3)
})
