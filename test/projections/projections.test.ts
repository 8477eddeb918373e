import { describe, expect, it } from 'vitest'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { Bench, engines, errorOf } from './engines.js'

const missing = postgresMissing()
const server = PostgresServer.ofSuite()

describe.each(engines(missing ? undefined : server))('a projection in $name', (engine) => {
  it('makes a read model of what is in the log, and of what comes', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 5, 7)
    const models = await bench.models()
    const projector = models.run(bench.sums())
    await projector.caughtUp()
    expect(await bench.read(models)).toEqual({ 'account-1': 12 })
    const token = await bench.move(2, 1)
    expect(await bench.read(models, { after: token })).toEqual({ 'account-1': 12, 'account-2': 1 })
    await bench.move(2, 2)
    expect(await bench.read(models, { consistency: 'strong' })).toEqual({ 'account-1': 12, 'account-2': 3 })
    expect(projector.status()).toMatchObject({ state: 'running', attempts: 0, error: undefined })
    await projector.close()
    expect(projector.status().state).toBe('closed')
  })

  it('goes on where it was when it is started again', async () => {
    await using bench = await Bench.open(engine)
    const seen: string[] = []
    const sums = bench.sums({}, ({ stream, data }) => seen.push(`${stream} ${data.by}`))
    await bench.move(1, 1, 2)
    const first = await bench.models()
    await first.run(sums).caughtUp()
    await first.close()
    await bench.move(1, 3)
    const second = await bench.models()
    await second.run(sums).caughtUp()
    expect(seen).toEqual(['account-1 1', 'account-1 2', 'account-1 3'])
    expect(await bench.read(second)).toEqual({ 'account-1': 6 })
  })

  it('rolls back everything of a transaction in which a handler fails, and tries again', async () => {
    await using bench = await Bench.open(engine)
    let failures = 3
    const sums = bench.sums({
      on: {
        Moved: async (event, { db, table }) => {
          await engine.sums(db).add(table('sum'), event.stream, event.data.by)
          if (event.data.by === 4 && failures-- > 0) throw new Error('not now')
        },
      },
    })
    await bench.move(1, 1, 2, 4, 8)
    const models = await bench.models()
    const projector = models.run(sums)
    await projector.caughtUp()
    expect(failures).toBe(-1)
    expect(await bench.read(models)).toEqual({ 'account-1': 15 })
    expect(projector.status()).toMatchObject({ state: 'running', attempts: 0 })
  })

  it('stops at an event that fails again and again, and says which; everything before it is there', async () => {
    await using bench = await Bench.open(engine)
    let isBroken = true
    const sums = bench.sums({}, ({ data }) => {
      if (isBroken && data.by === 4) throw new TypeError('cannot read 4')
    })
    await bench.move(1, 1, 2, 4, 8)
    const models = await bench.models()
    const projector = models.run(sums, { attempts: 2 })
    const error = await errorOf(projector.caughtUp())
    expect(error).toMatchObject({ code: 'BANYAN_PROJECTION_FAILED', cause: { message: 'cannot read 4' } })
    expect(error.message).toContain('balance version 1 has stopped at Moved at account-1@2')
    await expect(projector.ended).rejects.toBe(error)
    expect(projector.status()).toMatchObject({ state: 'failed', attempts: 2 })
    expect(await bench.read(models)).toEqual({ 'account-1': 3 })
    expect(await models.list()).toMatchObject([{ state: 'failed', running: false, lag: 2 }])
    expect((await models.list())[0]!.error).toContain('cannot read 4')
    // Who waits for what does not come is told at once.
    expect(await errorOf(bench.read(models, { consistency: 'strong', timeout: '1h' }))).toMatchObject({
      code: 'BANYAN_READ_TOO_OLD',
      message: expect.stringContaining('cannot read 4') as string,
    })
    isBroken = false
    const again = models.run(sums)
    await again.caughtUp()
    expect(await bench.read(models)).toEqual({ 'account-1': 15 })
    expect(await models.list()).toMatchObject([{ state: 'running', running: true, lag: 0, error: undefined }])
  })

  it('gives up a handler that hangs, and lets it write nothing later', async () => {
    await using bench = await Bench.open(engine)
    let late: Promise<unknown> | undefined
    let goOn: () => void = () => undefined
    let aborted = false
    const sums = bench.sums({
      on: {
        Moved: (event, { db, table, signal }) => {
          if (event.data.by !== 2 || late)
            return engine.sums(db).add(table('sum'), event.stream, event.data.by)
          signal.addEventListener('abort', () => (aborted = true))
          late = new Promise<void>((resolve) => (goOn = resolve)).then(() =>
            engine.sums(db).add(table('sum'), event.stream, 100),
          )
          return late
        },
      },
    })
    await bench.move(1, 1, 2, 4)
    const models = await bench.models()
    await models.run(sums, { timeout: 30 }).caughtUp()
    goOn()
    expect((await errorOf(late!)).message).toContain('the transaction has ended')
    expect(aborted).toBe(true)
    expect(await bench.read(models)).toEqual({ 'account-1': 7 })
  })

  it('refuses an event of a version that its handlers do not take', async () => {
    await using bench = await Bench.open(engine)
    await bench.log.append({
      streams: [{ stream: 'account-1', events: [{ type: 'Moved', schemaVersion: 2, data: { by: 1 } }] }],
    })
    const models = await bench.models()
    const error = await errorOf(models.run(bench.sums(), { attempts: 1 }).ended)
    expect(error.message).toContain('schemaVersion 2')
    expect(error.message).toContain('schemaVersions: { Moved: 2 }')
    expect(error.cause).toMatchObject({ code: 'BANYAN_EVENT_NEWER' })
    await models.run(bench.sums({ schemaVersions: { Moved: 2 } })).caughtUp()
    expect(await bench.read(models)).toEqual({ 'account-1': 1 })
  })

  it('takes many events at a time with apply, and finds the one that fails among them', async () => {
    await using bench = await Bench.open(engine)
    const calls: number[] = []
    const sums = bench.sums({
      apply: async (events, { db, table }) => {
        calls.push(events.length)
        for (const event of events) {
          if (event.data.by === 3) throw new Error('three')
          await engine.sums(db).add(table('sum'), event.stream, event.data.by)
        }
      },
    })
    await bench.move(1, 1, 2)
    await bench.move(2, 3)
    await bench.move(3, 4)
    const models = await bench.models()
    const error = await errorOf(models.run(sums, { attempts: 1 }).ended)
    expect(error.message).toContain('account-2@0')
    expect(calls).toEqual([4, 1, 1, 1])
    expect(await bench.read(models)).toEqual({ 'account-1': 3 })
  })

  it('leaves what others keep in streams that begin with $ alone', async () => {
    await using bench = await Bench.open(engine)
    await bench.log.append({
      streams: [{ stream: '$state-1', events: [{ type: 'Moved', data: { by: 1 } }] }],
    })
    const models = await bench.models()
    await models.run(bench.sums({ select: {} })).caughtUp()
    expect(await bench.read(models, { consistency: 'strong' })).toEqual({})
  })

  it('stands by while another runs it, and takes over as soon as that one is closed', async () => {
    await using bench = await Bench.open(engine)
    const first = await bench.models()
    const second = await bench.models()
    const one = first.run(bench.sums())
    await one.caughtUp()
    const other = second.run(bench.sums(), { takeover: '1h' })
    await bench.move(1, 1)
    await other.caughtUp()
    while (other.status().state === 'starting') await new Promise((resolve) => setTimeout(resolve, 5))
    expect([one.status().state, other.status().state]).toEqual(['running', 'standby'])
    await one.close()
    await bench.move(1, 2)
    await other.caughtUp()
    expect(other.status().state).toBe('running')
    expect(await bench.read(second)).toEqual({ 'account-1': 3 })
  })
})

describe.each(engines(missing ? undefined : server))('parking in $name', (engine) => {
  it('sets an event and all behind it in its stream aside; the rest goes on, until it is tried again in order', async () => {
    await using bench = await Bench.open(engine)
    let isBroken = true
    const seen: string[] = []
    const sums = bench.sums({}, ({ stream, data }) => {
      if (isBroken && data.by === 2) throw new Error('two is broken')
      seen.push(`${stream} ${data.by}`)
    })
    const models = await bench.models()
    const projector = models.run(sums, { onError: 'park', attempts: 2 })
    await projector.caughtUp()
    await bench.move(1, 1)
    await bench.move(1, 2)
    await bench.move(2, 5)
    const token = await bench.move(1, 4)
    await projector.caughtUp()
    expect(await bench.read(models)).toEqual({ 'account-1': 1, 'account-2': 5 })
    const parked = []
    for await (const row of models.parked('balance', 1)) parked.push(row)
    expect(parked).toMatchObject([
      { key: 'account-1', type: 'Moved', attempts: 2, reason: 'two is broken' },
      { key: 'account-1', type: 'Moved', attempts: 0, reason: 'an earlier event of its key is parked' },
    ])
    const behind = []
    for await (const row of models.parked('balance', 1, { after: parked[0]!.position })) behind.push(row)
    expect(behind).toEqual(parked.slice(1))
    expect(await models.list()).toMatchObject([{ parked: 2, state: 'running', lag: 0 }])
    // A token is a promise that this read model cannot keep now.
    expect(await errorOf(bench.read(models, { after: token }))).toMatchObject({
      code: 'BANYAN_READ_INCOMPLETE',
    })
    expect(await bench.read(models, { after: token, allowParked: true })).toMatchObject({ 'account-2': 5 })

    expect(await models.retryParked(sums)).toMatchObject({
      handled: 0,
      left: 2,
      failures: [{ key: 'account-1', reason: expect.stringContaining('two is broken') as string }],
    })
    isBroken = false
    expect(await models.retryParked(sums)).toEqual({ handled: 2, left: 0, failures: [] })
    await bench.move(1, 8)
    await projector.caughtUp()
    // What stands in one transaction with the event that fails is handled again.
    expect([...new Set(seen)]).toEqual([
      'account-1 1',
      'account-2 5',
      'account-1 2',
      'account-1 4',
      'account-1 8',
    ])
    expect(await bench.read(models, { consistency: 'strong' })).toEqual({ 'account-1': 15, 'account-2': 5 })
    expect(projector.status().state).toBe('running')
  })

  it('never happens in a rebuild', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 1)
    const models = await bench.models()
    await models.run(bench.sums()).caughtUp()
    const sums = bench.sums({ version: 2 }, () => {
      throw new Error('no')
    })
    const error = await errorOf(models.rebuild(sums, { onError: 'park', attempts: 1 }))
    expect(error).toMatchObject({ code: 'BANYAN_PROJECTION_FAILED' })
    expect(await models.list()).toMatchObject([{ version: 1 }, { version: 2, parked: 0, lag: 1 }])
  })
})

describe.each(engines(missing ? undefined : server))('versions in $name', (engine) => {
  const tenfold = (bench: Bench, version: number) =>
    bench.sums({
      version,
      on: {
        Moved: (event, { db, table }) => engine.sums(db).add(table('sum'), event.stream, event.data.by * 10),
      },
    })

  it('are built beside each other, switched, switched back, and dropped', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 1)
    const models = await bench.models()
    const first = models.run(bench.sums())
    await first.caughtUp()
    const second = await models.rebuild(tenfold(bench, 2))
    await bench.move(1, 2)
    await Promise.all([first.caughtUp(), second.caughtUp()])
    expect(await bench.read(models)).toEqual({ 'account-1': 3 })
    expect(await models.list()).toMatchObject([
      { version: 1, active: true },
      { version: 2, active: false },
    ])

    expect(await models.switch('balance', 2)).toMatchObject({ version: 2, before: 1 })
    expect(await bench.read(models)).toEqual({ 'account-1': 30 })
    await bench.move(1, 4)
    expect(await bench.read(models, { consistency: 'strong' })).toEqual({ 'account-1': 70 })

    // The old one went on, so that the way back shows nothing old.
    await first.caughtUp()
    expect(await models.undo('balance')).toMatchObject({ version: 1, before: 2 })
    expect(await bench.read(models, { consistency: 'strong' })).toEqual({ 'account-1': 7 })
    expect(await errorOf(models.drop('balance', 1))).toMatchObject({ code: 'BANYAN_PROJECTION_BEHIND' })
    await models.drop('balance', 2)
    await bench.move(1, 1)
    expect(await errorOf(second.ended)).toMatchObject({ code: 'BANYAN_PROJECTION_UNKNOWN' })
    expect(await errorOf(models.undo('balance'))).toMatchObject({ code: 'BANYAN_PROJECTION_UNKNOWN' })
    expect(await bench.read(models, { consistency: 'strong' })).toEqual({ 'account-1': 8 })
  })

  it('are not switched to one that is behind, unless by force', async () => {
    await using bench = await Bench.open(engine)
    await bench.move(1, 1)
    const models = await bench.models()
    const first = models.run(bench.sums())
    await first.caughtUp()
    const second = await models.rebuild(tenfold(bench, 2))
    await second.close()
    await bench.move(1, 2)
    await first.caughtUp()
    const error = await errorOf(models.switch('balance', 2, { timeout: 30 }))
    expect(error).toMatchObject({ code: 'BANYAN_PROJECTION_BEHIND' })
    expect(error.message).toContain('Nobody runs it')
    await models.switch('balance', 2, { force: true })
    expect(await bench.read(models)).toEqual({ 'account-1': 10 })
    // What a token promises is kept also then.
    expect(await errorOf(bench.read(models, { consistency: 'strong', timeout: 30 }))).toMatchObject({
      code: 'BANYAN_READ_TOO_OLD',
    })
    expect(await errorOf(models.switch('balance', 7))).toMatchObject({ code: 'BANYAN_PROJECTION_UNKNOWN' })
  })

  it('share their side effects, so that a rebuild and a switch repeat none', async () => {
    await using bench = await Bench.open(engine)
    const sent: string[] = []
    const effects = (version: string) => ({
      effectsFrom: 'start' as const,
      effects: {
        Moved: (event: { data: { by: number } }) => sent.push(`${version} ${event.data.by}`),
      },
    })
    const sentAll = async (count: number): Promise<void> => {
      while (sent.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
    }
    await bench.move(1, 1, 2)
    const models = await bench.models()
    const first = models.run({ ...bench.sums(), ...effects('v1') })
    await sentAll(2)
    const second = await models.rebuild({ ...tenfold(bench, 2), ...effects('v2') })
    await bench.move(1, 3)
    await sentAll(3)
    await first.caughtUp()
    await second.caughtUp()
    await models.switch('balance', 2)
    await bench.move(1, 4)
    await sentAll(4)
    await first.caughtUp()
    await models.undo('balance')
    await bench.move(1, 5)
    await sentAll(5)
    expect(sent).toEqual(['v1 1', 'v1 2', 'v1 3', 'v2 4', 'v1 5'])
    await Promise.all([first.caughtUp(), second.caughtUp()])
    await models.close()
    expect(sent.length).toBe(5)
  })
})
