import { describe, expect, it } from 'vitest'
import { openLog, type EventLog } from '../../src/events/index.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Bench, engines, errorOf } from './engines.js'

const server = PostgresServer.ofSuite()

const READS = [{ consistency: 'strong' }, { after: 'the last' }] as const

describe.each(engines(postgresMissing() ? undefined : server))('reads in $name', (engine) => {
  it('of what another log was made into are refused, also when that log has come further', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 1, 2, 3)
    // What nobody selects moves the checkpoint too.
    await other(bench.log, 5)
    const models = await bench.models()
    const projector = models.run(bench.sums())
    await models.wait('balance', { after: await bench.log.head() })
    await projector.caughtUp()
    await models.close()

    for (const [events, code] of [
      [1, 'BANYAN_POSITION_AHEAD'],
      [30, 'BANYAN_READ_MODEL_CORRUPT'],
    ] as const) {
      await using log = await openLog('memory:')
      let last = ''
      for (let count = 0; count < events; count++) last = await moveIn(log)
      const reader = await bench.models({}, log)
      for (const options of READS)
        expect(
          await errorOf(bench.read(reader, 'after' in options ? { after: last } : options)),
        ).toMatchObject({ code })
      await reader.close()
    }
  })

  it('of a log that lost its end, where something else stands now that was passed, are refused', async () => {
    await using bench = await Bench.open(engine)
    const account = { id: 'kept', streams: [{ stream: 'account-1', events: [moved(1)] }] }
    await bench.log.append(account)
    await other(bench.log, 5)
    const models = await bench.models()
    const projector = models.run(bench.sums())
    await projector.caughtUp()
    const { position } = projector.status()
    expect(position).toBe(await bench.log.head())
    await models.close()

    // The backup had the account, and not the others; in their place are others that are selected.
    await using log = await openLog('memory:')
    await log.append(account)
    const token = await moveIn(log)
    for (let count = 0; count < 6; count++) await moveIn(log)
    const reader = await bench.models({}, log)
    expect(await errorOf(bench.read(reader, { after: token }))).toMatchObject({
      code: 'BANYAN_READ_MODEL_CORRUPT',
      message: expect.stringContaining('has handled event kept/0 at position') as string,
    })
    await reader.close()
    const again = await bench.models({}, log)
    expect(await errorOf(again.run(bench.sums()).ended)).toMatchObject({ code: 'BANYAN_READ_MODEL_CORRUPT' })
    await again.close()
  })

  it('do not pass over what was truncated before the read model had it', async () => {
    await using bench = await Bench.open(engine)
    const models = await bench.models()
    await bench.move(1, 1)
    const first = models.run(bench.sums())
    await first.caughtUp()
    await first.close()
    const lost = await bench.move(1, 2)
    await bench.log.truncate({ category: 'account', upTo: lost })
    for (const options of [{ consistency: 'strong' } as const, { after: lost }])
      expect(await errorOf(bench.read(models, { ...options, timeout: 30 }))).toMatchObject({
        code: 'BANYAN_READ_TOO_OLD',
      })
    expect(await errorOf(models.run(bench.sums()).caughtUp())).toMatchObject({
      code: 'BANYAN_HISTORY_TRUNCATED',
    })
    // Whoever may do without it says so, and reads on.
    const without = models.run(bench.sums(), { allowTruncated: true })
    await without.caughtUp()
    expect(await bench.read(models, { after: lost })).toEqual({ 'account-1': 1 })
    await bench.move(1, 4)
    expect(await bench.read(models, { consistency: 'strong' })).toEqual({ 'account-1': 5 })
  })
})

function moved(by: number) {
  return { type: 'Moved', data: { by } }
}

async function moveIn(log: EventLog): Promise<string> {
  const result = await log.append({ streams: [{ stream: 'account-1', events: [moved(1)] }] })
  return result.ok ? result.position : ''
}

async function other(log: EventLog, count: number): Promise<void> {
  for (let number = 0; number < count; number++)
    await log.append({ streams: [{ stream: 'other-1', events: [moved(number)] }] })
}
