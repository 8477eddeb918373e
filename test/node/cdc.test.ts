import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { HostedCaptureState } from '../../src/node/cdc/state.js'
import { run } from '../support/cli.js'
import { eventsConfig, specOf, startEvents } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { parseExposition } from '../support/prometheus.js'
import { serverSentEvents } from '../support/sse.js'

afterEach(() => closeAll())

describe.skipIf(postgresMissing())('captures of a configuration', () => {
  const server = PostgresServer.ofSuite()
  const directory = mkdtempSync(join(tmpdir(), 'banyan-cdc-node-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  /** A node that captures a database with two customers. */
  async function start(more: object = {}, name = 'legacy') {
    const from = await server.database()
    await server.query('CREATE TABLE customers (id int PRIMARY KEY, name text)', [], from)
    await server.query("INSERT INTO customers VALUES (1, 'Ada'), (2, 'bad')", [], from)
    const cdc = { [name]: { from, tables: { 'public.customers': { topic: 'customer', ...more } } } }
    const started = await startEvents({}, { cdc })
    const get = async (path = ''): Promise<HostedCaptureState> =>
      (await (await fetch(`${started.admin}/api/cdc/${name}${path}`)).json()) as HostedCaptureState
    const post = async (path: string) => {
      const answer = await fetch(`${started.admin}/api/cdc/${name}/${path}`, { method: 'POST' })
      return { status: answer.status, body: (await answer.json()) as object }
    }
    const change = (changed: object) => started.node.apply(specOf(eventsConfig({}, { cdc: changed })))
    await expect.poll(async () => (await get()).state, { timeout: 10_000 }).toBe('streaming')
    return { ...started, from, cdc, get, post, change }
  }

  test('are run, measured, and told of by the admin API and the command line', async () => {
    const { get, post, ask, admin, from, node } = await start({}, 'told')
    expect(await get()).toMatchObject({ name: 'told', generation: 1, snapshotRows: 2, parked: 0 })
    await server.query("UPDATE customers SET name = 'Eve' WHERE id = 1", [], from)
    await expect.poll(async () => (await get()).rows).toBe(1)
    expect(await (await ask('?stream=customer-1')).text()).toMatch(
      /"CustomerSnapshotted".*"CustomerUpdated"/s,
    )
    const metrics = parseExposition(await (await fetch(`${admin}/metrics`)).text())
    expect(metrics.get('banyan_cdc_rows_total')?.samples).toContainEqual(
      expect.objectContaining({
        labels: {
          banyan_cdc_name: 'told',
          banyan_cdc_table: 'public.customers',
          banyan_cdc_operation: 'update',
        },
        value: 1,
      }),
    )
    expect(await post('resnapshot')).toEqual({ status: 202, body: { name: 'told' } })
    await expect.poll(get).toMatchObject({ generation: 2, state: 'streaming' })
    expect(await get()).toMatchObject({ snapshotRows: 4 })
    const shown = await run('cdc', 'status', '--admin', admin)
    expect(shown).toMatchObject({ code: 0 })
    expect(shown.stdout).toMatch(/CAPTURE +STATE +LAG +RETAINED +PARKED +UP TO +PROBLEM\ntold +streaming/)
    const json = await run('cdc', 'status', 'told', '--json', '--admin', admin)
    expect(JSON.parse(json.stdout)).toMatchObject({ captures: [{ name: 'told', state: 'streaming' }] })
    expect(await run('cdc', 'status', 'tolt', '--admin', admin)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('there is no capture tolt, did you mean told?') as string,
    })
    expect(await run('cdc', 'resnapshot', 'told', '--admin', admin)).toMatchObject({ code: 0 })
    expect(await node.fullState()).toMatchObject({ captures: [{ name: 'told' }] })
  })

  test('are followed as Server-Sent Events, until the node goes', async () => {
    const { admin, from, node } = await start({}, 'followed')
    const answer = await fetch(`${admin}/api/cdc/followed`, { headers: { accept: 'text/event-stream' } })
    expect(answer.headers.get('content-type')).toBe('text/event-stream')
    const rows: number[] = []
    for await (const { event, data } of serverSentEvents(answer)) {
      if (event === 'caught-up' && rows.length === 1)
        await server.query("UPDATE customers SET name = 'Eve' WHERE id = 1", [], from)
      if (event !== 'message') continue
      const state = JSON.parse(data) as HostedCaptureState
      expect(state).toMatchObject({ name: 'followed', generation: 1 })
      rows.push(state.rows)
      if (state.rows === 1) void node.stop()
    }
    expect(rows[0]).toBe(0)
    expect(rows).toContain(1)
    const all = await fetch(`${admin}/api/cdc`, { headers: { accept: 'text/event-stream' } }).catch(
      () => 'gone',
    )
    expect(all).toBe('gone')
  })

  test('map with modules, park what these do not take, and take it when they are mended', async () => {
    const file = join(directory, 'map.ts')
    const module = (condition: string): string =>
      `export const named = ({ row, operation }: { row: { name: string }; operation: string }) => {
         if (${condition}) throw new Error('no name is bad')
         return { type: operation, data: { name: row.name } }
       }`
    writeFileSync(file, module("row.name === 'bad'"))
    const { get, post, admin, cdc, change } = await start({ map: `${file}#named` }, 'mended')
    expect(await get()).toMatchObject({ parked: 1, waitingStreams: 1 })
    const listed = await run('cdc', 'parked', 'mended', '--admin', admin)
    expect(listed.stdout).toMatch(/customer-2 +public\.customers +snapshot +map has failed: no name is bad/)
    expect(await post('retry')).toEqual({ status: 200, body: { name: 'mended', released: 0, parked: 1 } })
    writeFileSync(file, module('false'))
    await change(cdc)
    await expect.poll(async () => (await get()).state).toBe('streaming')
    expect(await run('cdc', 'retry', 'mended', '--admin', admin)).toMatchObject({
      code: 0,
      stdout: '1 row taken, 0 still parked\n',
    })
    expect(await get()).toMatchObject({ parked: 0 })
  })

  test.each([
    ['map.ts', 'name.ts'],
    ['map.mjs', 'name.mjs'],
    ['map.js', 'name.js'],
    ['map.mjs', 'name.ts'],
  ])('take up what changes in %s, and in %s that it imports', async (map, part) => {
    const own = mkdtempSync(join(directory, 'module-'))
    writeFileSync(join(own, 'package.json'), '{ "type": "module" }')
    const write = (name: string, version: number): void =>
      writeFileSync(
        join(own, name),
        name === part
          ? `export const part = ${version}`
          : `import { part } from './${part}'\nexport const map = ({ operation }) => ({ type: 'v' + (${version} * 10 + part) })`,
      )
    write(map, 1)
    write(part, 1)
    const name = `up_${basename(own)
      .toLowerCase()
      .replaceAll(/[^a-z0-9]/g, '_')}`
    const { ask, cdc, change, from, get, lines } = await start({ map: join(own, map) }, name)
    const seen = async (type: string): Promise<void> => {
      await expect
        .poll(async () => (await (await ask('?stream=customer-1')).text()).includes(type))
        .toBe(true)
    }
    await seen('"v11"')
    write(part, 2)
    await change(cdc)
    await expect.poll(async () => (await get()).state).toBe('streaming')
    await server.query("UPDATE customers SET name = 'Eve' WHERE id = 1", [], from)
    await seen('"v12"')
    write(map, 2)
    await change(cdc)
    await expect.poll(async () => (await get()).state).toBe('streaming')
    await server.query("UPDATE customers SET name = 'Eva' WHERE id = 1", [], from)
    await seen('"v22"')
    expect(lines.join('')).toContain('begins anew: its configuration or its map has changed')
    expect(lines.join('')).not.toContain('in force already')
  })

  test('discard what is parked, by the command line, once that is meant', async () => {
    const file = join(directory, 'bad.ts')
    writeFileSync(file, "export const bad = () => { throw new Error('not yet') }")
    const { get, admin } = await start({ map: file }, 'thrown')
    expect(await get()).toMatchObject({ parked: 2 })
    const discard = (...more: string[]) => run('cdc', 'discard', 'thrown', ...more, '--admin', admin)
    expect(await discard()).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('say which rows') as string,
    })
    expect(await discard('0')).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') as string })
    expect(await discard('0', '--yes')).toMatchObject({
      code: 0,
      stdout: '1 row discarded, 0 that waited behind taken, 1 still parked\n',
    })
    expect(await discard('0', '--yes')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('No such row of thrown is parked') as string,
    })
    const byKey = ['--table', 'public.customers', '--key', 'id=2', '--yes', '--json']
    expect(JSON.parse((await discard(...byKey)).stdout)).toEqual({
      name: 'thrown',
      discarded: 1,
      released: 0,
      parked: 0,
    })
    const wrong = await fetch(`${admin}/api/cdc/thrown/discard`, { method: 'POST', body: '{"key":{"id":2}}' })
    expect(wrong.status).toBe(400)
  })

  test('that cannot be started do not keep the node from serving, and end with their entry', async () => {
    const from = await server.database()
    const cdc = { broken: { from, tables: { customers: { topic: 'customer' } } } }
    const { admin, node, lines } = await startEvents({}, { cdc })
    const get = async () => (await (await fetch(`${admin}/api/cdc/broken`)).json()) as HostedCaptureState
    await expect.poll(async () => (await get()).error?.code).toBe('BANYAN_SOURCE_UNPREPARED')
    expect((await fetch(`${admin}/readyz`)).status).toBe(200)
    expect((await fetch(`${admin}/api/cdc/broken/resnapshot`, { method: 'POST' })).status).toBe(503)
    await node.apply(specOf(eventsConfig()))
    expect((await fetch(`${admin}/api/cdc/broken`)).status).toBe(404)
    expect(lines.join('')).toContain('capture broken is not configured any more')
  })

  test('are refused by name, topic and mapping, at their place', () => {
    const refused = (capture: object, more: object = {}): string => {
      try {
        specOf(eventsConfig({}, { cdc: { legacy: { from: 'postgres://h/d', ...capture } }, ...more }))
        return ''
      } catch (error) {
        return (error as Error).message
      }
    }
    const customers = { topic: 'customer' }
    expect(refused({ tables: { customers } })).toBe('')
    expect(refused({ tables: {} })).toContain('is empty')
    expect(refused({ tables: { customers, orders: customers } })).toContain('is the topic of customers, too')
    expect(refused({ tables: { customers: { topic: 'a-b' } } })).toContain('without `-`')
    expect(refused({ tables: { customers } }, { topics: { order: {} } })).toContain('is not among `topics`')
    const twice = {
      cdc: {
        a: { from: 'postgres://h/d', tables: { customers } },
        b: { from: 'postgres://h/d', tables: { 'public.customers': customers } },
      },
    }
    expect(() => specOf(eventsConfig({}, twice))).toThrow('is the topic of the same table in the capture a')
    expect(refused({ tables: { customers }, from: 'mysql://h/d' })).toContain('must be postgres://')
    expect(refused({ tables: { customers: { ...customers, kye: 'id' } } })).toContain('kye')
  })

  test('removed by the command line, they leave nothing at the source', async () => {
    const { from, node, change } = await start({}, 'removed')
    await change({ other: { from, tables: { customers: { topic: 'customer' } } } })
    await expect.poll(() => node.captures!.list().then(([state]) => state!.state)).toBe('streaming')
    expect(await run('cdc', 'remove', 'remved', '--from', from, '--yes')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('captures that have some there: other, removed') as string,
    })
    expect(await run('cdc', 'remove', 'other', '--from', from, '--yes')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('a node still captures as other') as string,
    })
    const gone = await run('cdc', 'remove', 'removed', '--from', from, '--yes')
    expect(gone).toMatchObject({ code: 0 })
    const slots = await server.query(
      'SELECT slot_name FROM pg_replication_slots WHERE database = current_database()',
      [],
      from,
    )
    expect(slots).toEqual([{ slot_name: 'banyan_other' }])
  })
})
