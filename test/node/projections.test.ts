import { rmSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { eventsConfig, specOf, startEvents } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'
import { AdminProjections, hasAll, hasFailed, Workshop } from '../support/projections-node.js'
import { parseExposition } from '../support/prometheus.js'

let workshop: Workshop
beforeEach(() => {
  workshop = new Workshop()
})
afterEach(async () => {
  await closeAll()
  workshop[Symbol.dispose]()
})

async function start(projections: object) {
  const started = await startEvents({}, { projections })
  const sell = async (...amounts: number[]) => {
    for (const amount of amounts) {
      const events = [{ type: 'Sold', data: { amount } }]
      const body = JSON.stringify({ streams: [{ stream: `sale-${Math.abs(amount) % 3}`, events }] })
      const headers = { 'content-type': 'application/json' }
      expect((await started.ask('', { method: 'POST', headers, body })).status).toBe(201)
    }
  }
  const change = (changed: object) => started.node.apply(specOf(eventsConfig({}, { projections: changed })))
  return { ...started, sell, change, projections: new AdminProjections(started.admin) }
}

describe('projections of a configuration', () => {
  test('are run, and told with what the store has and what the node does', async () => {
    const spec = { module: workshop.sums('sums'), store: workshop.store() }
    const { projections, sell, admin } = await start({ sums: spec })
    await sell(1, 2, 3)
    await projections.until('sums', 1, hasAll)
    expect(await projections.get('/sums')).toMatchObject({
      status: 200,
      body: {
        name: 'sums',
        modules: [spec.module],
        store: spec.store,
        versions: [
          {
            version: 1,
            stored: {
              active: true,
              state: 'running',
              position: '0000000000000003',
              lag: 0,
              parked: 0,
              running: true,
            },
            here: { state: 'running', position: '0000000000000003', attempts: 0 },
          },
        ],
      },
    })
    const { body } = await projections.get()
    expect(body['projections']).toMatchObject([{ name: 'sums' }])
    const state = (await (await fetch(`${admin}/api/state`)).json()) as object
    expect(state).toMatchObject({
      subscriptions: {},
      projections: { sums: { versions: [{ version: 1, stored: { active: true, lag: 0 } }] } },
    })
  })

  test('are measured, and one that has stopped does not make the node unready', async () => {
    const { projections, sell, admin, lines } = await start({
      sums: { module: workshop.sums('sums'), store: workshop.store(), attempts: 1 },
    })
    await sell(1, -1, 2)
    const { here, stored } = await projections.until('sums', 1, hasFailed)
    expect(here!.error).toContain('not an amount: -1')
    expect(stored).toMatchObject({ state: 'failed', running: false, lag: 2 })
    expect(lines.join('')).toContain('sums version 1 has stopped at Sold at sale-1@1')
    expect((await fetch(`${admin}/readyz`)).status).toBe(200)
    const metrics = parseExposition(await (await fetch(`${admin}/metrics`)).text())
    const labels = { banyan_projection_name: 'sums', banyan_projection_version: '1' }
    expect(metrics.get('banyan_projection_events_total')?.samples).toMatchObject([{ labels, value: 1 }])
    expect(metrics.get('banyan_projection_failures_total')?.samples).toMatchObject([{ labels, value: 1 }])
  })

  test('show their lag in the metrics while they run', async () => {
    const { projections, sell, admin } = await start({
      sums: { module: workshop.sums('sums'), store: 'memory:' },
    })
    // Not for a store in memory, whose tables are no SQL: it fails, and is behind while it is tried.
    await sell(1)
    await projections.until('sums', 1, ({ here }) => here?.state === 'retrying')
    const metrics = parseExposition(await (await fetch(`${admin}/metrics`)).text())
    expect(metrics.get('banyan_projection_lag_seconds')?.samples).toHaveLength(1)
  })

  test('in a store that cannot be opened wait for it, while the node serves', async () => {
    workshop.write('read.db', 'this is no database of SQLite, whatever its name says')
    const { projections, sell, lines } = await start({
      sums: { module: workshop.sums('sums'), store: workshop.store('read.db') },
    })
    await sell(1)
    const { problem, versions } = await projections.projection('sums')
    expect(problem).toContain('is not open')
    expect(versions).toEqual([{ version: 1 }])
    expect(await projections.post('sums/rebuild')).toMatchObject({
      status: 503,
      body: { code: 'BANYAN_READ_MODEL_UNAVAILABLE' },
    })
    while (!lines.join('').includes('cannot be opened, and are tried again'))
      await new Promise((resolve) => setImmediate(resolve))
    rmSync(workshop.path('read.db'))
    await projections.until('sums', 1, hasAll)
  })
})

describe('a change', () => {
  test('starts and stops what is new and gone, and does not touch the others', async () => {
    const stays = { module: workshop.sums('stays'), store: workshop.store() }
    const goes = { module: workshop.sums('goes'), store: workshop.store() }
    const comes = { module: workshop.sums('comes'), store: workshop.store('other') }
    const { projections, sell, change, lines } = await start({ stays, goes })
    await sell(1)
    const before = await projections.until('stays', 1, hasAll)
    await projections.until('goes', 1, hasAll)
    await change({ stays, comes })
    await projections.until('comes', 1, hasAll)
    expect(await projections.get('/goes')).toMatchObject({ status: 404 })
    // Whoever was stopped or started would have written to its row.
    expect((await projections.version('stays', 1))!.stored).toEqual(before.stored)
    await sell(2)
    await projections.until('stays', 1, ({ stored }) => stored?.position === '0000000000000002')
    await change({})
    expect((await projections.get()).body).toEqual({ projections: [] })
    expect(lines.join('')).not.toContain('"level":"error"')
  })

  test('of an option starts it anew, at the place where it was', async () => {
    const spec = { module: workshop.sums('sums'), store: workshop.store() }
    const { projections, sell, change } = await start({ sums: spec })
    await sell(1, 2)
    await projections.until('sums', 1, hasAll)
    await change({ sums: { ...spec, onError: 'park', attempts: 1 } })
    await sell(-3, 3)
    const { stored } = await projections.until('sums', 1, ({ stored }) => stored?.parked === 2)
    expect(stored).toMatchObject({ position: '0000000000000004', state: 'running' })
  })

  test('of a module builds its new version beside the one that is read, which goes on', async () => {
    const spec = { module: workshop.sums('sums'), store: workshop.store() }
    const { projections, sell, change } = await start({ sums: spec })
    await sell(1, 2)
    await projections.until('sums', 1, hasAll)
    workshop.sums('sums', { version: 2 })
    await change({ sums: spec })
    await projections.until('sums', 2, hasAll)
    await sell(3)
    for (const version of [1, 2])
      await projections.until('sums', version, ({ stored }) => stored?.position === '0000000000000003')
    expect((await projections.version('sums', 1))!.stored!.active).toBe(true)
  })

  test('starts again what has stopped, with the module as it is now', async () => {
    const spec = { module: workshop.sums('sums'), store: workshop.store(), attempts: 1 }
    const { projections, sell, change } = await start({ sums: spec })
    await sell(1, -1)
    await projections.until('sums', 1, hasFailed)
    await change({ sums: spec })
    await projections.until('sums', 1, hasFailed)
    workshop.sums('sums', { refuses: 'false' })
    await change({ sums: spec })
    await projections.until('sums', 1, hasAll)
  })

  test('with a module that cannot be loaded changes nothing', async () => {
    const spec = { module: workshop.sums('sums'), store: workshop.store() }
    const { projections, sell, change } = await start({ sums: spec })
    const broken = { module: workshop.write('broken.ts', 'export default {'), store: workshop.store() }
    await expect(change({ broken })).rejects.toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
      message: expect.stringMatching(/^projections\.broken: cannot load /) as string,
    })
    await sell(1)
    await projections.until('sums', 1, hasAll)
  })
})

describe('an operator', () => {
  test('rebuilds, switches, goes back and drops', async () => {
    const spec = { module: workshop.sums('sums'), store: workshop.store() }
    const { projections, sell } = await start({ sums: spec })
    await sell(1, 2)
    await projections.until('sums', 1, hasAll)
    expect(await projections.post('sums/rebuild')).toMatchObject({
      status: 409,
      body: { code: 'BANYAN_PROJECTION_BEHIND', type: 'urn:banyan:problem:projection-behind' },
    })
    workshop.sums('sums', { version: 2 })
    const begun = await projections.post('sums/rebuild', { switch: true })
    expect(begun).toEqual({ status: 202, body: { name: 'sums', version: 2 } })
    await projections.until('sums', 2, ({ stored }) => stored?.active === true)
    expect(await projections.post('sums/undo')).toMatchObject({
      status: 200,
      body: { version: 1, before: 2 },
    })
    expect(await projections.post('sums/switch', { version: 2 })).toMatchObject({
      status: 200,
      body: { version: 2, before: 1 },
    })
    expect(await projections.post('sums/drop', { version: 2 })).toMatchObject({ status: 409 })
    await sell(3)
    // It was not dropped, and so goes on.
    await projections.until('sums', 2, ({ stored }) => stored?.position === '0000000000000003')
    expect(await projections.post('sums/drop', { version: 1 })).toEqual({
      status: 200,
      body: { name: 'sums', version: 1 },
    })
    expect((await projections.projection('sums')).versions.map(({ version }) => version)).toEqual([2])
    expect(await projections.post('sums/rebuild', { force: true })).toMatchObject({ status: 202 })
    await projections.until('sums', 2, hasAll)
  })

  test('looks at what is parked, and tries it again', async () => {
    const { projections, sell } = await start({
      sums: { module: workshop.sums('sums'), store: workshop.store(), onError: 'park', attempts: 1 },
    })
    await sell(3)
    await projections.until('sums', 1, hasAll)
    await sell(-1, 1, -2)
    await projections.until('sums', 1, ({ stored }) => stored?.parked === 3)
    expect(await projections.get('/sums/parked?limit=2')).toMatchObject({
      status: 200,
      body: {
        version: 1,
        parked: [
          { stream: 'sale-1', attempts: 1, reason: expect.stringContaining('not an amount: -1') as string },
          { stream: 'sale-1', attempts: 0 },
        ],
        next: '0000000000000003',
      },
    })
    const rest = await projections.get('/sums/parked?limit=2&after=0000000000000003')
    expect(rest.body['parked']).toMatchObject([{ stream: 'sale-2' }])
    expect(await projections.post('sums/redrive', { key: 'sale-2' })).toMatchObject({
      status: 200,
      body: { version: 1, handled: 0, left: 3, failures: [{ key: 'sale-2' }] },
    })
    workshop.sums('sums', { refuses: 'false' })
    // The module is read with a change; the one before still refuses.
    expect((await projections.post('sums/redrive')).body).toMatchObject({ handled: 0, left: 3 })
  })

  test('is told what is wrong with a request', async () => {
    const { projections } = await start({ sums: { module: workshop.sums('sums'), store: workshop.store() } })
    await projections.until('sums', 1, hasAll)
    const wrong: [string, object, number, string][] = [
      ['sum/undo', {}, 404, 'there is no projection `sum` in the configuration, did you mean `sums`?'],
      ['sums/undo', {}, 404, 'there is no switch to undo'],
      ['sums/switch', {}, 400, '`version` is missing'],
      ['sums/switch', { version: 2 }, 404, 'there is no version 2 of sums in this store; it has 1'],
      ['sums/switch', { version: 0 }, 400, 'version must be'],
      ['sums/undo', { forced: true }, 400, 'did you mean `force`?'],
      ['sums/rebuild', { version: 7 }, 404, 'has no version 7 of sums, but 1'],
      ['sums/erase', {}, 404, 'There is nothing here'],
    ]
    for (const [below, body, status, detail] of wrong)
      expect([below, await projections.post(below, body)]).toMatchObject([
        below,
        { status, body: { status, detail: expect.stringContaining(detail) as string } },
      ])
    expect(await projections.get('/sums/undo')).toMatchObject({ status: 405 })
    expect(await projections.get('/sums/parked?limit=0')).toMatchObject({ status: 400 })
    expect(await projections.get('/sum')).toMatchObject({ status: 404 })
    expect(await projections.get('/%zz')).toMatchObject({ status: 400 })
  })

  test('of a node without projections is told so', async () => {
    const { admin } = await startEvents()
    expect((await new AdminProjections(admin).get()).body['detail']).toContain('has no `projections`')
  })
})
