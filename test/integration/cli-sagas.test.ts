import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { freePort } from '../../scripts/engines.mjs'
import {
  openLog,
  runSagas,
  saga,
  sagas,
  terminal,
  type EventLog,
  type SagaSummary,
} from '../../src/events/index.js'
import { MAIN, Running } from '../support/banyan-events.js'
import { blockOf } from '../support/example.js'
import { reaction } from '../sagas/reaction.js'
import { PostgresServer, postgresMissing } from '../support/postgres.js'

/** `banyan sagas` as its users run it: the built command line, and nodes in processes of their own. */

const ROOT = join(import.meta.dirname, '../..')

const directories: string[] = []
afterAll(() => {
  for (const directory of directories) rmSync(directory, { recursive: true, force: true })
})

/** A project that has Banyan among its packages, and the saga of the page. */
function newProject(): string {
  const cwd = mkdtempSync(join(tmpdir(), 'banyan-cli-sagas-'))
  directories.push(cwd)
  mkdirSync(join(cwd, 'node_modules'))
  symlinkSync(ROOT, join(cwd, 'node_modules/banyan'))
  writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(cwd, 'fulfilment.ts'), blockOf('events/sagas-operating.md', 'ts', 0))
  writeFileSync(join(cwd, 'checked.ts'), CHECKED)
  writeFileSync(join(cwd, 'policies.ts'), blockOf('events/policies.md', 'ts', 1))
  return cwd
}

/** The same with a check of its input. */
const CHECKED = `
  import { fulfilment as unchecked } from './fulfilment.ts'
  const validate = (value: any) =>
    typeof value?.to === 'string' ? { value } : { issues: [{ message: 'must be text', path: ['to'] }] }
  const input = { '~standard': { version: 1, vendor: 'test', validate } }
  export const fulfilment = { ...unchecked, input }
`

async function startNode(
  cwd: string,
  workers: number,
  sagas: object = { fulfilment: { module: './fulfilment.ts' } },
): Promise<{ node: Running; admin: string }> {
  const [listen, admin] = [await freePort(), await freePort()]
  const config = {
    ...{ listen, admin, workers, services: {} },
    routes: { ok: { match: { path: '/' }, respond: { status: 204 } } },
    events: { driver: 'sqlite', path: './data' },
    sagas,
  }
  writeFileSync(join(cwd, 'banyan.yaml'), JSON.stringify(config))
  const node = new Running(process.execPath, [MAIN, 'up', '--no-watch'], { cwd })
  await node.printed(new RegExp(`(gateway on[^]*){${workers}}`))
  return { node, admin: `http://127.0.0.1:${admin}` }
}

function banyan(cwd: string, ...args: string[]) {
  return new Running(process.execPath, [MAIN, ...args], { cwd }).ended
}

async function json(cwd: string, ...args: string[]): Promise<unknown> {
  const { code, stdout, stderr } = await banyan(cwd, 'sagas', ...args, '--json')
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${String(code)}: ${stderr}`)
  return JSON.parse(stdout)
}

/** Waits until every saga is where it does not go on by itself. */
async function settled(log: EventLog): Promise<void> {
  const all = sagas(log)
  for (;;) {
    const from = await log.head()
    const open: SagaSummary[] = []
    for await (const one of all.list())
      if (one.status === 'running' || one.status === 'compensating') open.push(one)
    if (open.length === 0) return
    for await (const { changes } of all.follow({ from })) if (changes.length > 0) break
  }
}

/** What differs each time, and columns that are as wide as that. */
function general(text: string): string {
  return text
    .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
    .replace(/[\d.]+(ms|s|m) ago/g, 'AGO')
    .replace(/after [\d.]+(ms|s|m)$/gm, 'after AGE')
    .replace(/position \d+/g, 'position NUMBER')
    .replace(/ +/g, ' ')
}

function words(command: string): string[] {
  return Array.from(command.matchAll(/'([^']*)'|(\S+)/g), ([, quoted, plain]) => quoted ?? plain!)
}

test('every example of the page prints what it says', { timeout: 60_000 }, async () => {
  const cwd = newProject()
  const { node, admin } = await startNode(cwd, 2)
  await using log = await openLog(`sqlite:${join(cwd, 'data')}`)
  const all = sagas(log)
  writeFileSync(join(cwd, 'locked'), '')
  for (const [id, to] of [
    ['17', 'Mars'],
    ['18', 'Paris'],
  ] as const) {
    await all.start('fulfilment', { to }, { id, metadata: { actor: 'shop' } })
    await settled(log)
  }
  await all.signal('fulfilment/17', 'paid', { amount: 20 })
  await settled(log)
  const section = readFileSync(join(ROOT, 'docs/cli.md'), 'utf8').split('\n## Sagas\n')[1]!
  const [, block = ''] = /^```text\n([^]*?)^```$/m.exec(section)!
  const examples = block.split(/^(?=\$ )/m)
  expect(examples).toHaveLength(7)
  for (const text of examples) {
    const command = text.slice(2, text.indexOf('\n'))
    if (command.includes(' retry ')) rmSync(join(cwd, 'locked'))
    const { stdout, stderr } = await banyan(cwd, ...words(command).slice(1))
    expect(`$ ${general(`${command}\n${stdout}${stderr}`)}`).toBe(general(text))
    await settled(log)
  }
  const status = await banyan(cwd, 'status', '--once', '--admin', admin)
  expect(status.stdout).toMatch(/^SAGAS .*\nfulfilment +1 +0 +0$/m)
  node.signal('SIGTERM')
  expect((await node.ended).code).toBe(0)
})

test('a node starts, shows and steers its sagas', { timeout: 60_000 }, async () => {
  const cwd = newProject()
  const { node, admin } = await startNode(cwd, 1, { fulfilment: { module: './checked.ts' } })
  const there = ['-a', admin]
  await using log = await openLog(`sqlite:${join(cwd, 'data')}`)
  const input = ['--input', '{ "to": "Paris" }']
  expect(await json(cwd, 'start', 'fulfilment', '--id', '1', ...input, '--actor', 'ada', ...there)).toEqual({
    id: 'fulfilment/1',
    duplicate: false,
  })
  const again = await banyan(cwd, 'sagas', 'start', 'fulfilment', '--id', 'fulfilment/1', ...input, ...there)
  expect(again.stdout).toBe('fulfilment/1 was started before, with the same input\n')
  await settled(log)
  expect(await json(cwd, 'show', 'fulfilment/1', ...there)).toMatchObject({
    status: 'waiting',
    started: expect.stringMatching(/Z$/) as string,
    metadata: { actor: 'ada' },
    steps: [
      { name: 'reserve', result: { place: 7 } },
      { kind: 'signal', name: 'paid' },
    ],
  })
  const signal = ['signal', 'fulfilment/1', 'paid', '{ "amount": 5 }', '--signal-id', 'p1']
  expect(await json(cwd, ...signal, ...there)).toEqual({ id: 'fulfilment/1', signal: 'paid' })
  await settled(log)
  expect(await json(cwd, 'list', '--status', 'completed', ...there)).toMatchObject([{ id: 'fulfilment/1' }])
  const wrong: [string[], number, string][] = [
    [['start', 'fulfilment', '--input', '{}'], 1, 'is not valid: to: must be text'],
    [['start', 'fulfilment', '--input', 'Paris'], 2, '--input is not JSON'],
    [['start', 'fulfilmnt'], 1, 'did you mean fulfilment?'],
    [['show', 'fulfilment/2'], 1, 'did you mean fulfilment/1?'],
    [['show', '2'], 1, 'such as fulfilment/17'],
    [['retry', 'fulfilment/1'], 1, 'has ended (completed); nothing was done  [BANYAN_SAGA_ENDED]'],
    [['cancel', 'fulfilment/1'], 1, 'BANYAN_SAGA_ENDED'],
    [['list', '--saga', 'fulfilmnt'], 1, 'did you mean fulfilment?'],
    [['list', '--status', 'stuck'], 2, '--status is one of running'],
  ]
  for (const [args, code, message] of wrong) {
    const ended = await banyan(cwd, 'sagas', ...args, ...there)
    expect([args, ended.code, ended.stdout]).toEqual([args, code, ''])
    expect(ended.stderr).toContain(message)
  }
  node.signal('SIGTERM')
  expect((await node.ended).code).toBe(0)
})

test('reactions are traced and shown, on the log or by a node, as the page on policies says', async () => {
  const cwd = newProject()
  const { node, admin } = await startNode(cwd, 1, { reserveStock: { module: './policies.ts' } })
  await using log = await openLog(`sqlite:${join(cwd, 'data')}`)
  const examples = blockOf('events/policies.md', 'text', 1).split(/^(?=\$ )/m)
  expect(examples).toHaveLength(4)
  for (const text of examples) {
    const command = text.slice(2, text.indexOf('\n'))
    const { stdout, stderr } = await banyan(cwd, ...words(command).slice(1))
    expect(`$ ${general(`${command}\n${stdout}${stderr}`)}`).toBe(general(text))
    if (command.includes(' append ')) await reaction(sagas(log), 'reserveStock/o-18/0')
  }
  const there = ['-a', admin]
  expect(await json(cwd, 'trace', 'sale', ...there)).toMatchObject({
    correlationId: 'sale',
    roots: [
      {
        event: { type: 'OrderPlaced', actor: 'ada', time: expect.stringMatching(/Z$/) as string },
        leadsTo: [{ saga: { id: 'reserveStock/o-18/0', event: { stream: 'order-18', revision: 0 } } }],
      },
    ],
  })
  expect(await json(cwd, 'trace', 'sale', '--from', 'end', ...there)).toMatchObject({ roots: [] })
  const part = await banyan(cwd, 'sagas', 'trace', 'sale', '--scan', '1', ...there)
  expect([part.code, part.stdout]).toEqual([0, expect.stringMatching(/^1 event read.*--from \d+/)])
  const nothing = await banyan(cwd, 'sagas', 'trace', 'nobody')
  expect([nothing.code, nothing.stdout]).toEqual([0, ''])
  const refused = await banyan(cwd, 'sagas', 'start', 'reserveStock', ...there)
  expect([refused.code, refused.stderr]).toEqual([
    1,
    expect.stringContaining('is a policy: only events start'),
  ])
  node.signal('SIGTERM')
  expect((await node.ended).code).toBe(0)
})

describe.skipIf(postgresMissing())('on PostgreSQL, without a node', () => {
  const server = PostgresServer.ofSuite()

  test('parked sagas are retried, skipped and cancelled', { timeout: 60_000 }, async () => {
    const url = await server.database()
    await using log = await openLog(url)
    let isClosed = true
    const order = saga<{ undone: boolean }>({
      name: 'order',
      attempts: 1,
      async run({ undone }, { step, pointOfNoReturn }) {
        await step('reserve', { run: () => 7, compensate: () => undefined })
        if (!undone) pointOfNoReturn()
        else throw new TypeError('a mistake')
        return step('ship', () => {
          if (isClosed) throw terminal('the harbour is closed')
          return 'by sea'
        })
      },
    })
    await using runner = await runSagas(log, { definitions: [order], drain: '1s' })
    const all = sagas(log)
    for (const id of ['1', '2', '3']) await all.start(order, { undone: id === '3' }, { id })
    for (const id of ['1', '2', '3']) await all.outcome(`order/${id}`)
    const there = ['--log', url]
    const parked = (await json('.', 'list', '--status', 'parked', ...there)) as { id: string }[]
    expect(parked.map(({ id }) => id).sort()).toEqual(['order/1', 'order/2', 'order/3'])
    const { stdout } = await banyan('.', 'sagas', 'show', 'order/1', ...there)
    expect(stdout).toContain('Nothing happens until you decide (it can only go forward):')
    expect(stdout).toContain(
      `  banyan sagas retry order/1 --log ${url}  once the cause is gone: tries step ship again`,
    )
    expect(stdout).not.toContain('banyan sagas cancel')
    const unasked = await banyan('.', 'sagas', 'skip', 'order/2', '--result', '"by hand"', ...there)
    expect([unasked.code, unasked.stdout]).toEqual([2, ''])
    expect(unasked.stderr).toContain('as if step ship had been done and had returned "by hand"')
    await json('.', 'skip', 'order/2', '--result', '"by hand"', '--yes', '--actor', 'ada', ...there)
    isClosed = false
    await json('.', 'retry', 'order/1', '--reason', 'it is open', ...there)
    await json('.', 'cancel', 'order/3', '--yes', ...there)
    expect(await all.outcome('order/1')).toEqual({ outcome: 'completed', result: 'by sea' })
    expect(await all.outcome('order/2')).toEqual({ outcome: 'completed', result: 'by hand' })
    expect(await all.outcome('order/3')).toMatchObject({ outcome: 'compensated', class: 'cancelled' })
    expect(runner.running).toBeLessThanOrEqual(1)
    const { timeline } = await all.show('order/2')
    expect(timeline.find(({ kind }) => kind === 'requested')).toMatchObject({
      what: 'skip was asked for by ada',
      step: 'ship',
      data: 'by hand',
    })
  })
})
