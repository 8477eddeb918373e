import { describe, expect, it } from 'vitest'
import {
  openLog,
  projection,
  upcasters,
  type PostgresTables,
  type SqliteTables,
} from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Bench, engines, errorOf } from './engines.js'

const server = PostgresServer.ofSuite()

describe.each(engines(postgresMissing() ? undefined : server))('in $name', (engine) => {
  it('what cannot be shown is parked as what a handler cannot take, and effects wait for it', async () => {
    await using bench = await Bench.open(engine)
    const broken = upcasters({
      Moved: {
        1: (data: { by: number }) => {
          if (data.by === 13) throw new Error('no thirteens')
          return data
        },
      },
    })
    // Where events are as older programs, and newer ones, have left them.
    await using log = await openLog('memory:', { transforms: [broken] })
    const move = (account: number, by: number, schemaVersion = 1) =>
      log.append({
        streams: [{ stream: `account-${account}`, events: [{ type: 'Moved', schemaVersion, data: { by } }] }],
      })
    // The first version is read while it is built: nobody has anything better.
    await move(1, 13)
    const models = await bench.models({}, log)
    const projector = models.run(bench.sums(), {
      onError: 'park',
      attempts: 1,
    })
    await projector.caughtUp()
    await move(2, 5)
    await move(3, 6, 9)
    await move(1, 1)
    await projector.caughtUp()
    expect(await bench.read(models, { allowParked: true, consistency: 'strong' })).toEqual({ 'account-2': 5 })
    const reasons = []
    for await (const { stream, reason } of models.parked('balance', 1)) reasons.push([stream, reason])
    expect(reasons).toEqual([
      ['account-1', expect.stringContaining('no thirteens')],
      ['account-3', expect.stringContaining('account-3@0 is a Moved of version 9')],
      ['account-1', 'an earlier event of its key is parked'],
    ])

    const beside = bench.sums({ version: 2 })
    const error = await errorOf(models.rebuild(beside, { onError: 'park', attempts: 1 }))
    expect(error.message).toMatch(
      /has stopped at Moved at account-1@0 .* nothing is parked in a version that is built beside the one that is read$/,
    )
    await models.close()
  })

  it('effects of types that no handler takes run at once', async () => {
    await using bench = await Bench.open(engine)
    const sent: string[] = []
    const models = await bench.models()
    const definition = bench.sums({
      effects: { Closed: ({ stream }: { stream: string }) => sent.push(stream) } as never,
    })
    const projector = models.run(definition)
    await projector.caughtUp()
    await bench.move(1, 1)
    await projector.caughtUp()
    await bench.log.append({ streams: [{ stream: 'account-1', events: [{ type: 'Closed' }] }] })
    while (sent.length === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    expect(sent).toEqual(['account-1'])
    expect(await bench.read(models, { consistency: 'strong' })).toEqual({ 'account-1': 1 })
  })

  it.skipIf(engine.name === 'memory')('a query that writes is told that it only reads', async () => {
    await using bench = await Bench.open(engine)
    const models = await bench.models()
    await models.run(bench.sums()).caughtUp()
    const error = await errorOf(
      models.query<unknown>('balance', ({ db, table }) =>
        engine.name === 'sqlite'
          ? (db as SqliteTables).run(`DELETE FROM ${table('sum')}`)
          : (db as PostgresTables).query(`DELETE FROM ${table('sum')}`),
      ),
    )
    expect(error.code).not.toBe('BANYAN_READ_MODEL_UNAVAILABLE')
    expect(error.message).toMatch(/read-?only|only reads/)
  })
})

it('effects that would never run are refused', () => {
  expect(() =>
    projection({
      name: 'a',
      version: 1,
      select: { types: ['A'] },
      on: { A: () => undefined },
      effects: { B: () => undefined },
    }),
  ).toThrow('effects.B would never run')
})
