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
