import { mkdtempSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { openLog, repository, START, undoable } from '../../src/events/index.js'
import { account } from '../support/account.js'
import { directory, MAIN, newLog, Running } from '../support/banyan-events.js'
import { startEvents } from '../support/events-node.js'
import { closeAll } from '../support/gateway.js'

/** `banyan streams` as its users run it: the built command line in processes of its own. */

const cwd = mkdtempSync(join(directory, 'streams-'))

const ACCOUNT = `
  export interface Account { balance: number; names: Set<string> }
  const account = {
    initialState: (): Account => ({ balance: 0, names: new Set() }),
    evolve(state: Account, { type, data }: { type: string; data: { amount?: number; to?: string } }): Account {
      if (type === 'Renamed') return { ...state, names: new Set([...state.names, data.to!]) }
      return { ...state, balance: state.balance + (type === 'Deposited' ? 1 : -1) * data.amount! }
    },
  }
  export default account
`

beforeAll(() => {
  writeFileSync(join(cwd, 'account.ts'), ACCOUNT)
  writeFileSync(
    join(cwd, 'two.mjs'),
    `const make = () => ({ initialState: () => 0, evolve: (sum) => sum + 1 })
    export const first = make(), second = make(), other = 1`,
  )
  writeFileSync(join(cwd, 'broken.mjs'), 'export default {')
  writeFileSync(join(cwd, 'none.mjs'), 'export const evolve = () => 1')
})
afterEach(closeAll)

function streams(args: readonly string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  return new Running(process.execPath, [MAIN, 'streams', ...args], { cwd }).ended
}

async function printed(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await streams(args)
  expect([code, stderr]).toEqual([0, ''])
  return stdout.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
}

async function lines(...args: string[]): Promise<unknown[]> {
  const text = await printed(...args, '--json')
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
}

/** An account that was renamed, had money in and out, and one command of it undone. */
async function filled(url: string): Promise<string> {
  await using log = await openLog(url)
  const inverse = {
    Withdrawn: ({ data }: { data: { amount: number } }) => ({ type: 'Deposited' as const, data }),
  }
  const accounts = repository(log, undoable(account, { inverse }), { category: 'account' })
  const by = (actor: string, correlationId: string) => ({ metadata: { actor, correlationId } })
  await accounts.handle('1', { deposit: 5 }, { id: 'c-1', ...by('ada', 'r-1') })
  await accounts.handle('1', { rename: 'a/b' }, { id: 'c-2', ...by('bob', 'r-1') })
  await accounts.handle('1', { withdraw: 3 }, { id: 'c-3' })
  await accounts.undo('1', { id: 'c-4', ...by('ada', 'r-2') })
  await accounts.handle('2', { deposit: 9 }, { id: 'c-5', ...by('ada', 'r-2') })
  return url
}

describe('time-travel', () => {
  test('shows the state at a revision, a position or a time; now without one', async () => {
    const log = await filled(newLog())
    const at = (...args: string[]) =>
      printed('time-travel', 'account-1', '-d', './account.ts', '--log', log, ...args)
    expect(await at('--at-revision', '1')).toBe(
      'account-1@1  TIME  Renamed\n{\n  "balance": 5,\n  "names": [\n    "a/b"\n  ]\n}\n',
    )
    expect(await at('--at-position', '3')).toMatch(/^account-1@2 {2}TIME {2}Withdrawn\n\{\n {2}"balance": 2,/)
    expect(await at('--at', '1h')).toMatch(/^account-1, before its first event\n\{\n {2}"balance": 0,/)
    expect(await at()).toMatch(/^account-1@3 {2}TIME {2}Deposited\n\{\n {2}"balance": 5,/)
    expect(JSON.parse(await at('--at', '3', '--json'))).toMatchObject({
      stream: 'account-1',
      revision: 2,
      type: 'Withdrawn',
      state: { balance: 2, names: ['a/b'] },
    })
  })

  test('without a decider shows the events up to then', async () => {
    const log = await filled(newLog())
    const at = ['time-travel', 'account-1', '--at-revision', '1', '--log', log]
    expect(await printed(...at)).toBe(
      'TIME  1  account-1@0  Deposited  {"amount":5}\nTIME  2  account-1@1  Renamed  {"to":"a/b"}\n',
    )
    expect(await lines(...at)).toMatchObject([{ specversion: '1.0' }, { type: 'Renamed' }])
    expect(await printed('time-travel', 'account-1', '--at', 'start', '--log', log)).toBe('')
  })
})

describe('diff', () => {
  test('shows what is different in the state, and what has happened', async () => {
    const log = await filled(newLog())
    const diff = ['diff', 'account-1', '-d', './account.ts', '--log', log]
    expect(await printed(...diff, '--from-revision', '0', '--to', '3')).toBe(
      'account-1@0 -> account-1@2\n~ /balance  5 -> 2\n+ /names/0  "a/b"\n\n' +
        'TIME  2  account-1@1  Renamed  {"to":"a/b"}\nTIME  3  account-1@2  Withdrawn  {"amount":3}\n',
    )
    expect(await printed(...diff, '--from', '1h', '--to-revision', '0')).toMatch(
      /^start -> account-1@0\n~ \/balance {2}0 -> 5\n/,
    )
    expect(await printed(...diff, '--from-revision', '3')).toBe(
      'account-1@3 -> account-1@3\nnothing is different\n',
    )
    expect(JSON.parse(await printed(...diff, '--from-revision', '2', '--json'))).toMatchObject({
      from: { revision: 2, state: { balance: 2 } },
      to: { revision: 3, state: { names: ['a/b'] } },
      changes: [{ kind: 'changed', path: '/balance', before: 2, after: 5 }],
      events: [{ type: 'Deposited', banyanrevision: 3 }],
    })
  })

  test('without a decider compares each event with the last of its type', async () => {
    const log = await filled(newLog())
    expect(await printed('diff', 'account-1', '--from-revision', '1', '--log', log)).toBe(
      'TIME  3  account-1@2  Withdrawn  {"amount":3}\n' +
        'TIME  4  account-1@3  Deposited  {"amount":3}\n    ~ /amount  5 -> 3  since @0\n',
    )
    const found = JSON.parse(
      await printed('diff', 'account-1', '--from', '2', '--log', log, '--json'),
    ) as object
    expect(found).toMatchObject({
      stream: 'account-1',
      events: [
        { event: { type: 'Withdrawn' } },
        { event: { type: 'Deposited' }, since: 0, changes: [{ path: '/amount', before: 5, after: 3 }] },
      ],
    })
  })
})

describe('audit', () => {
  test('shows when, who, what and why; with a decider what it has changed', async () => {
    const log = await filled(newLog())
    expect(await printed('audit', 'account-1', '--log', log)).toBe(
      'TIME  account-1@0  Deposited  by ada  command c-1, part of r-1\n    {"amount":5}\n' +
        'TIME  account-1@1  Renamed  by bob  command c-2, part of r-1\n    {"to":"a/b"}\n' +
        'TIME  account-1@2  Withdrawn  by -  command c-3\n    {"amount":3}\n' +
        'TIME  account-1@3  Deposited  by ada  command c-4, undoes c-3, part of r-2\n    {"amount":3}\n',
    )
    const changed = ['audit', '--category', 'account', '--actor', 'ada', '-d', 'account.ts', '--log', log]
    expect(await printed(...changed)).toMatch(
      /c-1, .*\n {4}~ \/balance {2}0 -> 5\n.*c-4, .*\n {4}~ \/balance {2}2 -> 5\n.*c-5, .*\n {4}~ \/balance {2}0 -> 9\n$/,
    )
    expect(await lines('audit', '--correlation', 'r-2', '--to', '4', '--log', log)).toMatchObject([
      { actor: 'ada', command: 'c-4', undoes: 'c-3', stream: 'account-1', revision: 3, data: { amount: 3 } },
    ])
    expect(await lines('audit', 'account-1', '--from', '3', '-d', 'account.ts', '--log', log)).toMatchObject([
      { command: 'c-4', changes: [{ kind: 'changed', path: '/balance', before: 2, after: 5 }] },
    ])
  })

  test('over the admin address of a node', async () => {
    const { admin } = await startEvents()
    const append = async (id: string, event: object): Promise<void> => {
      const answer = await fetch(`${admin}/api/events`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': id },
        body: JSON.stringify({ streams: [{ stream: 'account-1', events: [event] }] }),
      })
      expect(answer.status).toBe(201)
    }
    await append('c-1', { type: 'Deposited', data: { amount: 2 }, metadata: { actor: 'ada' } })
    await append('c-2', { type: 'Deposited', data: { amount: 3 } })
    expect(await printed('time-travel', 'account-1', '-d', 'account.ts', '-a', admin, '--at', '1')).toMatch(
      /"balance": 2/,
    )
    expect(await printed('diff', 'account-1', '-d', 'account.ts', '-a', admin)).toMatch(
      /~ \/balance {2}0 -> 5/,
    )
    expect(await lines('audit', '--actor', 'ada', '-a', admin)).toMatchObject([{ command: 'c-1' }])
    const at = async (query: string) => {
      const answer = await fetch(`${admin}/api/events/audit${query}`)
      return [
        answer.status,
        (await answer.text())
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as object),
      ]
    }
    expect(await at('?stream=account-1&actor=ada')).toMatchObject([200, [{ command: 'c-1', actor: 'ada' }]])
    expect(await at(`?category=account&from=${START}`)).toMatchObject([
      200,
      [{ command: 'c-1' }, { command: 'c-2' }],
    ])
    expect(await at('?who=ada')).toMatchObject([
      400,
      [{ detail: expect.stringContaining('`who`') as string }],
    ])
    expect(await at('?from=x')).toMatchObject([
      400,
      [{ detail: expect.stringContaining('position') as string }],
    ])
  })
})

test('what is not right is refused', async () => {
  const log = await filled(newLog())
  const cases: [command: string, code: number, message: string][] = [
    ['audit account-9', 1, 'there is no stream account-9 in sqlite:'],
    ['time-travel account-1 --at 1 --at-revision 2', 2, '--at and --at-revision each say which moment'],
    ['time-travel account-1 --at noon', 2, '--at is a position as it is printed'],
    ['diff account-1 --to-revision -1', 2, '--to-revision is a whole number from 0'],
    ['audit account-1 --category account', 2, 'contradict each other'],
    ['audit -d account.ts', 2, '--decider knows one kind of things'],
    ['diff account-1 -d nowhere.js', 2, 'there is no file nowhere.js'],
    ['diff account-1 -d two.mjs', 2, 'two.mjs exports first, second; say which, as two.mjs#first'],
    ['diff account-1 -d two.mjs#other', 2, 'exports other, which has no initialState and evolve'],
    ['diff account-1 -d two.mjs#third', 2, 'exports no third'],
    ['diff account-1 -d none.mjs', 2, 'none.mjs exports nothing with initialState and evolve'],
    ['diff account-1 -d broken.mjs', 1, 'cannot load broken.mjs: '],
  ]
  for (const [command, code, message] of cases) {
    const run = await streams([...command.split(' '), '--log', log])
    expect([command, run.code, run.stdout]).toEqual([command, code, ''])
    expect(run.stderr).toContain(message)
  }
  expect(await printed('time-travel', 'account-1', '-d', 'two.mjs#second', '--log', log)).toMatch(/\n4\n$/)
})
