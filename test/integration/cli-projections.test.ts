import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import { openLog, type EventLog } from '../../src/events/index.js'
import { MAIN, Running } from '../support/banyan-events.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'
import { AdminProjections, hasAll } from '../support/projections-node.js'

/** `banyan projections` as its users run it: the built command line and nodes in processes of their own. */

const ROOT = join(import.meta.dirname, '../..')

/** A project that has Banyan among its packages. */
function project(): string {
  const cwd = mkdtempSync(join(tmpdir(), 'banyan-cli-projections-'))
  mkdirSync(join(cwd, 'node_modules'))
  symlinkSync(ROOT, join(cwd, 'node_modules/banyan'))
  writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(cwd, 'catalogue.ts'), catalogue(1))
  return cwd
}

const directories: string[] = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

function newProject(): string {
  const cwd = project()
  directories.push(cwd)
  return cwd
}

/** Titles of items; in version 2 a price below 0 is none. */
function catalogue(version: 1 | 2): string {
  return `
  import { projection } from 'banyan/events'
  type Event = { type: 'ItemListed' | 'PriceChanged'; data: { price: number } }
  interface Tables {
    exec?(sql: string): void
    run?(sql: string, ...values: unknown[]): void
    query?(sql: string, values?: unknown[]): Promise<unknown>
  }
  export default projection<Event, Tables>({
    name: 'catalogue',
    version: ${version},
    select: { category: 'item' },
    async setup({ db, table }) {
      const sql = \`CREATE TABLE \${table('item')} (id TEXT, price INTEGER)\`
      if (db.exec) db.exec(sql)
      else await db.query!(sql)
    },
    on: {
      ItemListed: async ({ stream, data: { price } }, { db, table }) => {
        if (price < 0 && ${version} === 1) throw new Error('a price below 0')
        if (db.run) db.run(\`INSERT INTO \${table('item')} VALUES (?, ?)\`, stream, price)
        else await db.query!(\`INSERT INTO \${table('item')} VALUES ($1, $2)\`, [stream, price])
      },
      PriceChanged: () => undefined,
    },
  })`
}

async function startNode(cwd: string, more: object = {}): Promise<{ node: Running; admin: string }> {
  const [listen, port] = [await freePort(), await freePort()]
  const config = {
    ...{ listen, admin: port, services: {} },
    routes: { ok: { match: { path: '/' }, respond: { status: 204 } } },
    events: { driver: 'sqlite', path: './data' },
    projections: {
      catalogue: { module: './catalogue.ts', store: 'sqlite:./read', onError: 'park', attempts: 1 },
    },
    ...more,
  }
  writeFileSync(join(cwd, 'banyan.yaml'), JSON.stringify(config))
  const node = new Running(process.execPath, [MAIN, 'up', '--no-watch'], { cwd })
  const { workers = 1 } = more as { workers?: number }
  await node.printed(new RegExp(`(gateway on[^]*){${workers}}`))
  return { node, admin: `http://127.0.0.1:${port}` }
}

async function list(log: EventLog, item: string, price: number, type = 'ItemListed'): Promise<void> {
  await log.append({ streams: [{ stream: item, events: [{ type, data: { price } }] }] })
}

function projections(cwd: string, args: readonly string[]) {
  return new Running(process.execPath, [MAIN, 'projections', ...args], { cwd }).ended
}

/** What was printed, with times made alike. */
async function printed(cwd: string, ...args: string[]): Promise<string> {
  const { stdout, stderr } = await projections(cwd, args)
  return general(stdout + stderr)
}

function general(text: string): string {
  return text.replace(/ +MOVED/, ' MOVED').replace(/ +[\d.]+(ms|s|m) ago/g, ' AGO')
}

/** The examples of the page, in their order. */
function examples(): { command: string; output: string }[] {
  const section = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8').split('\n## Read models\n')[1]!
  const [, block = ''] = /^```text\n([^]*?)^```$/m.exec(section)!
  return block.split(/^(?=\$ )/m).map((text) => {
    const end = text.indexOf('\n')
    return { command: text.slice(2, end), output: text.slice(end + 1) }
  })
}

describe('with a node', () => {
  test('every example of the page prints what it says', { timeout: 60_000 }, async () => {
    const cwd = newProject()
    const { node, admin } = await startNode(cwd)
    await using log = await openLog(`sqlite:${join(cwd, 'data')}`)
    await list(log, 'item-1', 30)
    await new AdminProjections(admin).until('catalogue', 1, hasAll)
    await list(log, 'item-2', -1)
    await list(log, 'item-2', 5, 'PriceChanged')
    await new AdminProjections(admin).until('catalogue', 1, ({ stored }) => stored?.parked === 2)
    expect(examples()).toHaveLength(8)
    for (const { command, output } of examples()) {
      if (command.includes('rebuild')) writeFileSync(join(cwd, 'catalogue.ts'), catalogue(2))
      const [, , ...args] = command.split(' ')
      const text = await printed(cwd, ...args, '--admin', admin)
      expect(`$ ${command}\n${text}`).toBe(`$ ${command}\n${general(output)}`)
    }
    const status = new Running(process.execPath, [MAIN, 'status', '--once', '--admin', admin], { cwd })
    expect((await status.ended).stdout).toMatch(/^PROJECTION .*\ncatalogue +\d .*running/m)
    node.signal('SIGTERM')
    expect((await node.ended).code).toBe(0)
  })

  test('of two workers one works, and both have what an operator changes', { timeout: 60_000 }, async () => {
    const cwd = newProject()
    const { node, admin } = await startNode(cwd, { workers: 2 })
    await using log = await openLog(`sqlite:${join(cwd, 'data')}`)
    await list(log, 'item-1', 30)
    const nodes = new AdminProjections(admin)
    const { here } = await nodes.until('catalogue', 1, hasAll)
    expect(here?.state).toBe('running')
    writeFileSync(join(cwd, 'catalogue.ts'), catalogue(2))
    expect(await printed(cwd, 'rebuild', 'catalogue', '--switch', '-a', admin)).toContain(
      'version 2 of catalogue is built, and read from now on',
    )
    expect(await printed(cwd, 'drop', 'catalogue', '2', '--yes', '-a', admin)).toContain(
      'BANYAN_PROJECTION_BEHIND',
    )
    expect(await printed(cwd, 'drop', 'catalogue', '1', '--yes', '-a', admin)).toContain('is dropped')
    await list(log, 'item-2', 5)
    await nodes.until(
      'catalogue',
      2,
      (state) => hasAll(state) && state.stored?.position === '0000000000000002',
    )
    expect((await nodes.get()).body['projections']).toMatchObject([{ versions: [{ version: 2 }] }])
    node.signal('SIGTERM')
    expect((await node.ended).code).toBe(0)
  })
})

describe('without a node', () => {
  test('a store and its log show versions, switch and go back', { timeout: 60_000 }, async () => {
    const cwd = newProject()
    const { node, admin } = await startNode(cwd)
    await using log = await openLog(`sqlite:${join(cwd, 'data')}`)
    await list(log, 'item-1', 30)
    const nodes = new AdminProjections(admin)
    await nodes.until('catalogue', 1, hasAll)
    await list(log, 'item-2', -1)
    await nodes.until('catalogue', 1, ({ stored }) => stored?.parked === 1)
    writeFileSync(join(cwd, 'catalogue.ts'), catalogue(2))
    await printed(cwd, 'rebuild', 'catalogue', '-a', admin)
    node.signal('SIGTERM')
    await node.ended
    const there = ['--store', 'sqlite:./read', '--log', 'sqlite:./data']
    expect(await printed(cwd, 'status', ...there)).toBe(
      'PROJECTION  VERSION  READ  STATE    LAG  PARKED MOVED  PROBLEM\n' +
        'catalogue         1  yes   stopped    0       1 AGO\n' +
        '                  2  no    stopped    0       0 AGO\n',
    )
    const parked = await projections(cwd, ['parked', 'catalogue', '-c', 'banyan.yaml', '--json'])
    expect(JSON.parse(parked.stdout)).toMatchObject({
      version: 1,
      parked: [{ stream: 'item-2', attempts: 1 }],
    })
    expect(await printed(cwd, 'switch', 'catalogue', '2', '-c', 'banyan.yaml')).toBe(
      'version 2 of catalogue is read; version 1 was\n',
    )
    expect(await printed(cwd, 'undo', 'catalogue', ...there)).toBe(
      'version 1 of catalogue is read; version 2 was\n',
    )
    const wrong: [string[], number, string][] = [
      [['status', '--log', 'sqlite:./data'], 2, '--log goes with --store'],
      [['status', ...there, '-a', admin], 2, 'give one of them'],
      [['status', '--store', 'memory:'], 2, 'inside one process'],
      [['status', '--store', 'sqlite:./nowhere', '--log', 'sqlite:./data'], 1, 'there are no read models at'],
      [['status', 'catalog', ...there], 1, 'did you mean catalogue?'],
      [['switch', 'catalogue', 'two', ...there], 2, 'a version is a whole number'],
      [['switch', 'catalogue', '3', ...there], 1, 'there is no version 3'],
      [['drop', 'catalogue', '2', ...there], 2, 'say --yes'],
      [['status', '-a', admin], 1, 'no node answers'],
    ]
    for (const [args, code, message] of wrong) {
      const ended = await projections(cwd, args)
      expect([args, ended.code, ended.stdout]).toEqual([args, code, ''])
      expect(ended.stderr).toContain(message)
    }
  })
})

describe.skipIf(postgresMissing())('on PostgreSQL', () => {
  const server = PostgresServer.ofSuite()

  test('the log and the read model are in one database', { timeout: 60_000 }, async () => {
    const cwd = newProject()
    const url = await server.database()
    const { node, admin } = await startNode(cwd, {
      events: { driver: 'postgres', url },
      projections: { catalogue: { module: './catalogue.ts', store: url } },
    })
    await using log = await openLog(url)
    await list(log, 'item-1', 30)
    await new AdminProjections(admin).until(
      'catalogue',
      1,
      (state) => hasAll(state) && state.stored?.position !== undefined,
    )
    writeFileSync(join(cwd, 'catalogue.ts'), catalogue(2))
    expect(await printed(cwd, 'rebuild', 'catalogue', '--switch', '-a', admin)).toContain('read from now on')
    node.signal('SIGTERM')
    expect((await node.ended).code).toBe(0)
    expect(await printed(cwd, 'status', '--store', url, '--log', url)).toMatch(
      /catalogue +1 {2}no +stopped +0 +0 AGO\n +2 {2}yes +stopped +0 +0 AGO/,
    )
    expect(await printed(cwd, 'undo', 'catalogue', '-c', 'banyan.yaml')).toContain(
      'version 1 of catalogue is read',
    )
  })
})
