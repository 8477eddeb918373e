import { once } from 'node:events'
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { CloudEvent } from 'cloudevents'
import { describe, expect, test } from 'vitest'
import { openLog } from '../../src/events/index.js'
import {
  MAIN,
  directory,
  Running,
  start,
  banyan,
  json,
  newLog,
  cloudEvents,
  filledLog,
  append,
  countIn,
  refused,
} from '../support/banyan-events.js'
import { configFile } from '../support/cli.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

/**
 * `banyan events` as its users run it: the built command line in processes of its own, on files of SQLite, in a running node, and on PostgreSQL.
 */

describe('export and import', () => {
  test('a log is the same in another one, and again changes nothing', async () => {
    const [from, to] = [await filledLog(7), newLog()]
    const file = join(directory, 'all.ndjson.gz')
    expect(await json(['export', file, '--log', from])).toMatchObject({ file, events: 7 })
    expect(await json(['import', file, '--dry-run', '--log', to])).toMatchObject({ ok: true, events: 7 })
    expect(await json(['import', file, '--log', to])).toMatchObject({ ok: true, events: 7, duplicates: 0 })
    expect(await banyan(['import', file, '--log', to])).toMatchObject({
      code: 0,
      stdout: '0 events in 0 commits appended, 7 events were there already  up to position 7\n',
    })
    const [before, after] = await Promise.all([from, to].map((log) => banyan(['read', '--log', log])))
    expect(after).toEqual(before)
    await refused(from, [[`export ${file}`, 2, 'is there already']])
  })

  test('through pipes, in parts', async () => {
    const [from, to] = [await filledLog(9), newLog()]
    const script = `"$0" "$1" events export -s order-2 --log "$2" | "$0" "$1" events import - --log "$3"`
    const piped = await new Running('bash', ['-c', script, process.execPath, MAIN, from, to]).ended
    expect(piped).toMatchObject({ code: 0, stderr: '' })
    expect(piped.stdout).toContain('3 events in 3 commits appended')
    const { stdout } = await banyan(['export', '--from', '8', '--source', '/here', '--log', from])
    expect(new CloudEvent(JSON.parse(stdout) as object).source).toBe('/here')
  })

  test('a stream that is further than the file ends with 3 and the line', async () => {
    const [from, to] = [await filledLog(3), await filledLog(2)]
    const file = join(directory, 'conflict.ndjson')
    await json(['export', file, '--log', from])
    const { code, stderr } = await banyan(['import', file, '--log', to])
    expect(code).toBe(3)
    expect(stderr).toMatch(
      /^line 1: order-0 is at revision 0, expected a stream that was never written\. Nothing/,
    )
    expect(await json(['import', file, '--renumber', '--log', to])).toMatchObject({ ok: true, events: 3 })
    expect(await countIn(to)).toBe(5)
  })

  test('what is not right is refused', async () => {
    const bad = join(directory, 'bad.ndjson')
    writeFileSync(bad, `${cloudEvents(1)}{"specversion":"1.0",\n`)
    await refused(newLog(), [
      ['import /nowhere', 1, 'cannot read /nowhere: ENOENT'],
      [`import ${bad}`, 1, 'line 2'],
      [`import ${bad} --dry-run`, 1, 'line 2'],
      ['import', 2, 'missing required argument'],
    ])
    await refused(await filledLog(1), [
      ['export /nowhere/file', 1, 'cannot write /nowhere/file: ENOENT'],
      ['export --source %', 1, 'BANYAN_INVALID_EVENT'],
    ])
  })
})

describe('removing', () => {
  test('truncate removes what it is told, and says which hold keeps more', async () => {
    const log = await filledLog(9)
    expect((await banyan(['hold', 'reports', '4', '--log', log])).stdout).toBe(
      'reports keeps everything after position 4\n',
    )
    expect(await json(['holds', '--log', log])).toEqual([{ name: 'reports', position: '0000000000000004' }])
    expect(
      (await banyan(['truncate', '-s', 'order-0', '--before-revision', '1', '--yes', '--log', log])).stdout,
    ).toBe('1 event removed\n')
    expect(await json(['truncate', '--all', '--up-to', 'end', '--yes', '--log', log])).toMatchObject({
      removed: 3,
      heldBy: 'reports',
    })
    expect((await banyan(['release', 'reports', '--log', log])).stdout).toBe(
      'reports keeps nothing any more\n',
    )
    expect((await banyan(['release', 'reports', '--log', log])).stdout).toBe('there was no hold reports\n')
    expect(
      await json(['truncate', '--category', 'order', '--up-to', '6', '--yes', '--log', log]),
    ).toMatchObject({
      removed: 2,
    })
    expect(await countIn(log)).toBe(3)
  })

  test('archive moves events to a file, from which they can be had again', async () => {
    const log = await filledLog(6)
    const archive = ['archive', directory, '-s', 'order-1', '--before-revision', '2', '--yes', '--log', log]
    const { file, removed } = (await json(archive)) as { file: string; removed: number }
    expect(removed).toBe(2)
    expect(await countIn(log)).toBe(4)
    expect(await json(['import', file, '--log', newLog()])).toMatchObject({ events: 2 })
  })

  test('retain removes what a rule does not keep', async () => {
    const log = await filledLog(9)
    const { code, stdout } = await banyan([
      'retain',
      '--category',
      'order',
      '--max-events',
      '1',
      '--yes',
      '--log',
      log,
    ])
    expect([code, stdout]).toEqual([
      0,
      '6 events removed: all but the last 1 event of each, of the category order\n',
    ])
    expect(await json(['retain', '--max-age', '1h', '--yes', '--log', log])).toMatchObject({ removed: 0 })
  })

  test('nothing is removed without a yes, or by mistake', async () => {
    const log = await filledLog(3)
    await refused(log, [
      ['truncate --all --up-to end', 2, 'There is nobody to ask; if that is meant, say --yes'],
      ['archive dir --all --up-to end', 2, 'say --yes'],
      ['retain --max-age 1ms', 2, 'say --yes'],
      ['truncate --yes', 2, 'say of what'],
      ['truncate --all --yes', 2, '--up-to'],
      ['truncate --all -s order-1 --yes --up-to end', 2, 'one of them'],
      ['truncate -s order-1 --up-to end --yes', 2, '--before-revision'],
      ['truncate --category order --before-revision 2 --yes', 2, '--up-to'],
      ['truncate --all --up-to 99 --yes', 1, 'BANYAN_POSITION_AHEAD'],
      ['retain --yes', 2, 'what is to be kept?'],
      ['retain --category order --yes', 2, 'say what is kept'],
      ['retain --max-age soon --yes', 1, 'maxAge'],
      ['hold x 99', 1, 'BANYAN_POSITION_AHEAD'],
    ])
    expect(await countIn(log)).toBe(3)
  })
})

test('backup copies a log that is in use, restore makes a log of it; neither replaces anything', async () => {
  const url = await filledLog(5)
  await using log = await openLog(url)
  const file = join(directory, 'copy.db')
  expect((await banyan(['backup', file, '--log', url])).stdout).toContain(`${file} is a copy of ${url}`)
  await append(url, [{ type: 'After' }])
  const to = newLog()
  expect(await json(['restore', file, to])).toMatchObject({ log: to, events: 5, head: '0000000000000005' })
  expect(await json(['verify', '--log', to])).toMatchObject({ ok: true, events: 5 })
  expect((await log.stats()).events).toBe(6)
  const damaged = join(directory, 'damaged.db')
  const bytes = readFileSync(file)
  writeFileSync(damaged, bytes.subarray(0, bytes.length - 4096))
  await refused(undefined, [
    [`backup ${file} --log ${url}`, 1, `${file} is there already`],
    [`restore ${file} ${to}`, 1, 'is there already'],
    [`restore /nowhere ${newLog()}`, 1, 'there is no backup at /nowhere'],
    [`restore ${damaged} ${newLog()}`, 1, 'BANYAN_LOG_CORRUPT'],
    [`restore ${file} postgres://ada:secret@host/db`, 1, 'pg_restore'],
  ])
})

describe('the types of a configuration', () => {
  const types = mkdtempSync(join(directory, 'types-'))
  writeFileSync(
    join(types, 'OrderPaid.schema.json'),
    JSON.stringify({ type: 'object', required: ['total'], properties: { total: { type: 'number' } } }),
  )

  test('check tells what in the log is not as its schema says', async () => {
    const log = newLog()
    await append(log, [
      { type: 'OrderPaid', data: { total: 3 } },
      { type: 'OrderPaid', data: { total: 'three' } },
      { type: 'OrderSent' },
    ])
    const { code, stdout } = await banyan(['check', types, '--log', log])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^misfit {2}OrderPaid at position 0*2, order-1@1, .*total.*number$/m)
    expect(stdout).toMatch(/^misfit {2}OrderSent at position 0*3, .*not a type of the registry$/m)
    const allowing = await banyan(['check', types, '--allow-unknown', '--json', '--log', log])
    expect(JSON.parse(allowing.stdout)).toMatchObject({ ok: false, events: 3, misfits: [{ revision: 1 }] })
    expect((await banyan(['check', types, '--to', '1', '--log', log])).code).toBe(2)
    await refused(log, [
      ['check', 2, 'which schemas?'],
      ['check /nowhere', 1, '/nowhere'],
    ])
  })

  test('are asked for what is appended', async () => {
    const config = configFile({
      listen: 0,
      admin: false,
      services: {},
      routes: { r: { match: {}, respond: { status: 204 } } },
      events: { driver: 'sqlite', path: newLog().slice('sqlite:'.length), types },
    })
    const appending = ['append', 'order-1', 'OrderPaid', '{"total":"three"}', '-c', config]
    expect(await banyan(appending)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('[BANYAN_INVALID_EVENT]') as string,
    })
    await json(['append', 'order-1', 'OrderPaid', '{"total":3}', '-c', config])
    expect(await json(['check', '-c', config])).toMatchObject({ ok: true, events: 1 })
  })
})

describe('the log of a running node', () => {
  test('is reached over its admin address, also by a configuration whose log is in memory', async () => {
    const config = configFile({
      listen: 0,
      admin: 0,
      services: {},
      routes: { r: { match: {}, respond: { status: 204 } } },
      events: { driver: 'memory' },
    })
    const node = new Running(process.execPath, [MAIN, 'up', '-c', config])
    const [, admin] = await node.printed(/admin on (http:\/\/[\d.:]+)/)
    const onNode = ['--admin', admin!]
    await banyan(['append', '--batch', ...onNode], { input: cloudEvents(5) })
    const paid = ['append', 'order-1', 'OrderPaid', '-', '--binary', '-t', 'a', '--expect', '1', ...onNode]
    expect((await banyan(paid, { input: 'bytes' })).stdout).toBe('order-1@2  position 6\n')
    expect((await banyan(paid, { input: 'bytes' })).code).toBe(3)

    const tail = start(['tail', '-n', '1', ...onNode])
    await tail.printed(/order-1@2 {2}OrderPaid {2}<5 bytes 6279746573> {2}#a/)
    await banyan(['append', 'order-1', 'OrderSent', ...onNode])
    await tail.printed(/order-1@3 {2}OrderSent/)
    tail.signal('SIGINT')
    expect(await tail.ended).toMatchObject({ code: 0, stderr: '' })

    expect((await banyan(['read', '-s', 'order-1', '-n', '1', '-b', ...onNode])).stdout).toContain(
      'OrderSent',
    )
    expect(await json(['stats', ...onNode])).toMatchObject({ driver: 'memory', events: 7 })
    expect((await banyan(['streams', ...onNode])).stdout).toContain('order-1')
    expect((await banyan(['verify', ...onNode])).stdout).toContain('is sound')
    const { stdout } = await banyan(['export', ...onNode])
    expect(stdout.trim().split('\n')).toHaveLength(7)
    expect(await json(['import', '-', ...onNode], { input: stdout })).toMatchObject({
      events: 0,
      duplicates: 7,
    })
    const other = newLog()
    await append(other, [{ type: 'Imported', data: { count: 1 } }], 'import-1')
    const lines = (await banyan(['export', '-', '--log', other])).stdout
    expect(await json(['import', '-', ...onNode], { input: lines })).toMatchObject({ events: 1 })
    await refused(undefined, [
      [`read --from 10m -a ${admin!}`, 1, 'BANYAN_UNSUPPORTED'],
      [`read --from x -a ${admin!}`, 2, '--from is a position as it is printed'],
      ['stats -a 127.0.0.1:9', 1, 'BANYAN_ADMIN_UNREACHABLE'],
      [`stats -a ${admin!} --log sqlite:x`, 2, 'each say which log'],
    ])
  })

  test('tail goes on where it was when the node is back', async () => {
    const admin = `127.0.0.1:${await freePort()}`
    const log = newLog()
    const config = configFile({
      listen: 0,
      admin,
      services: {},
      routes: { r: { match: {}, respond: { status: 204 } } },
      events: { driver: 'sqlite', path: log.slice('sqlite:'.length) },
    })
    const up = async (): Promise<Running> => {
      const node = new Running(process.execPath, [MAIN, 'up', '-c', config])
      await node.printed(/admin on/)
      return node
    }
    const first = await up()
    await append(log, [{ type: 'Before' }])
    const tail = start(['tail', '-a', admin])
    await tail.printed(/Before/)
    first.signal('SIGKILL')
    await first.ended
    await append(log, [{ type: 'Between' }])
    await up()
    await append(log, [{ type: 'After' }])
    await tail.printed(/After/)
    tail.signal('SIGINT')
    const { code, stdout } = await tail.ended
    expect([code, stdout.match(/Before|Between|After/g)]).toEqual([0, ['Before', 'Between', 'After']])
  })
})

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  return port
}

describe.skipIf(postgresMissing())('on PostgreSQL', () => {
  test('as on SQLite, and what it leaves to its own tools', async () => {
    await using server = await PostgresServer.start()
    const log = await server.database()
    expect(await json(['migrate', '--log', log])).toMatchObject({ from: 0 })
    expect((await banyan(['migrate', '--log', log])).stdout).toContain('nothing to do')
    await banyan(['append', '--batch', '--log', log], { input: cloudEvents(4) })
    const tail = start(['tail', '--from', '2', '--log', log])
    await tail.printed(/"index":3/)
    expect((await banyan(['append', 'order-1', 'OrderPaid', '--expect', '9', '--log', log])).code).toBe(3)
    await banyan(['append', 'order-1', 'OrderPaid', '--log', log])
    await tail.printed(/OrderPaid/)
    tail.signal('SIGINT')
    expect((await tail.ended).code).toBe(0)
    expect((await banyan(['verify', '--log', log])).stdout).toContain('5 events in 3 streams checked')
    await refused(log, [[`backup ${join(directory, 'pg.db')}`, 1, 'pg_dump']])
  }, 60_000)
})
