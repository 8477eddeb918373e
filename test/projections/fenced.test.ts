import { describe, expect, it } from 'vitest'
import { elect, openCoordinator } from '../../src/coordination/index.js'
import { fromRow } from '../../src/events/projections/checkpoint.js'
import type { RunFence } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Bench, engines, errorOf } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

/** What somebody holds, until a test takes it away. */
class Held implements RunFence {
  isLost = false
  readonly token: number

  constructor(token: number) {
    this.token = token
  }

  readonly check = (): void => {
    if (this.isLost) throw new Error('the lease is over')
  }
}

const LONG = '1h'
const stale = { code: 'BANYAN_STALE_TOKEN' }

describe.each(engines(missing ? undefined : server))('a projection with a fence, in $name', (engine) => {
  it('is taken over at once by who has a higher token, and the other one ends without having changed anything', async () => {
    await using bench = await Bench.open(engine)
    const [first, second] = [await bench.models(), await bench.models()]
    const old = first.run(bench.sums(), { fence: new Held(5), takeover: LONG })
    await bench.move(1, 1)
    await old.caughtUp()
    const young = second.run(bench.sums(), { fence: new Held(7), takeover: LONG })
    // It finds out with its next transaction.
    for (const over = old.ended.catch(() => 'over'); ;) {
      await bench.read(second, { after: await bench.move(1, 1) })
      if ((await Promise.race([over, young.caughtUp()])) === 'over') break
    }
    expect(await errorOf(old.ended)).toMatchObject(stale)
    const after = await bench.move(2, 7)
    expect(await bench.read(second, { after })).toMatchObject({ 'account-2': 7 })
    expect(old.status().state).toBe('closed')
    expect(await second.list()).toMatchObject([{ state: 'running', running: true, error: undefined }])
  })

  it('refuses a token lower than the highest, also when nobody runs it any more', async () => {
    await using bench = await Bench.open(engine)
    const models = await bench.models()
    await models.run(bench.sums(), { fence: { token: 7 } }).close()
    const late = models.run(bench.sums(), { fence: { token: 6 } })
    const error = await errorOf(late.ended)
    expect(error).toMatchObject(stale)
    expect(error.message).toContain('token 6 of balance version 1 is stale: it was run under token 7 since')
    // The same holder may run it again, and one without a fence takes the fence away.
    await models.run(bench.sums(), { fence: { token: 7 } }).caughtUp()
    await models.close()
    const others = await bench.models()
    await others.run(bench.sums()).close()
    await others.run(bench.sums(), { fence: { token: 6 } }).caughtUp()
  })

  it('does not begin a transaction as who does not hold it any more, by the clock', async () => {
    await using bench = await Bench.open(engine)
    const models = await bench.models()
    const held = new Held(5)
    const projector = models.run(bench.sums(), { fence: held })
    await bench.move(1, 1)
    await projector.caughtUp()
    held.isLost = true
    await bench.move(1, 2)
    const error = await errorOf(projector.ended)
    expect(error).toMatchObject(stale)
    expect(error.message).toContain('is not run any more under token 5: the lease is over')
    expect(await bench.read(models)).toEqual({ 'account-1': 1 })
    // Nothing is wrong with it.
    expect(await models.list()).toMatchObject([{ state: 'running', running: false, error: undefined }])
  })

  it('runs only where its election is led, goes over with it, and keeps the token beside its position', async () => {
    await using bench = await Bench.open(engine)
    await using coordinator = await openCoordinator('memory:')
    const tokens: number[] = []
    const join = async (holder: string) => {
      const models = await bench.models()
      return elect(coordinator, 'read-models', {
        holder,
        onLead: (_, token, term) => {
          tokens.push(token)
          return models.run(bench.sums(), { fence: term, takeover: LONG }).ended
        },
      })
    }
    const reader = await bench.models()
    const elections = [await join('a')]
    await bench.move(1, 1)
    await reader.wait('balance', { consistency: 'strong', timeout: '10s' }).catch(() => undefined)
    elections.push(await join('b'))
    await elections[0]!.close()
    expect(await bench.read(reader, { after: await bench.move(1, 2), timeout: '10s' })).toEqual({
      'account-1': 3,
    })
    expect(tokens).toHaveLength(2)
    expect(tokens[1]).toBeGreaterThan(tokens[0]!)
    const store = await engine.store(bench.where)
    const [row] = await store.read((view) => view.rows('balance'))
    expect(fromRow(row!).details.fence).toBe(tokens[1])
    await store.close()
    await elections[1]!.close()
  })
})

it('a fence without a token is refused', async () => {
  await using bench = await Bench.open(engines()[0]!)
  const models = await bench.models()
  for (const token of [0, 1.5, 'x', undefined])
    expect(() => models.run(bench.sums(), { fence: { token: token as number } })).toThrow(
      /whole number of at least 1/,
    )
})
