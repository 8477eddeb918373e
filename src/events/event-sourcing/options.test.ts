import { expect, it } from 'vitest'
import { account } from '../../../test/support/account.js'
import { altered } from '../../../test/support/logs.js'
import { recordingTelemetry } from '../../../test/support/telemetry.js'
import { systemRuntime } from '../../core/runtime.js'
import { noTelemetry, type Telemetry } from '../../core/telemetry.js'
import { virtualRuntime } from '../../testing/index.js'
import {
  auditTrail,
  memorySnapshots,
  openLog,
  openSnapshots,
  repository,
  undoable,
  type Decider,
} from '../index.js'

it('counts what came of commands, and how often they were decided again', async () => {
  const { telemetry, counts } = recordingTelemetry()
  const log = await openLog('memory:')
  const runtime = { ...systemRuntime, telemetry }
  const repo = repository(log, account, { category: 'account', runtime })
  await repo.handle('1', { deposit: 5 }, { id: 'c-1' })
  await repo.handle('1', { deposit: 5 }, { id: 'c-1' })
  await repo.handle('1', { withdraw: 0 })
  await repo.handle('1', { withdraw: 6 }).catch(() => undefined)
  await repo.handle('1', { deposit: 1 }, { expected: 7 }).catch(() => undefined)
  let rivals = 1
  const busy = altered(log, {
    append: async (commit) => {
      if (rivals-- > 0)
        await log.append({
          streams: [{ stream: 'account-2', events: [{ type: 'Deposited', data: { amount: 1 } }] }],
        })
      return log.append(commit)
    },
  })
  await repository(busy, account, { category: 'account', runtime }).handle('2', { deposit: 1 })
  await log.close()
  await repo.handle('1', { deposit: 1 }).catch(() => undefined)
  const of = (outcome: string) =>
    counts.get(`banyan.command.duration{banyan.category=account,banyan.command.outcome=${outcome}}`)
  const outcomes = ['handled', 'duplicate', 'nothing', 'refused', 'conflict', 'error']
  expect(outcomes.map(of)).toEqual([2, 1, 1, 1, 1, 1])
  expect(counts.get('banyan.command.retries{banyan.category=account}')).toBe(1)
})

it('options that are not known, and moments that are none, are refused', async () => {
  const log = await openLog('memory:')
  const repo = repository(log, account, { category: 'account' })
  await expect(repo.handle('1', { deposit: 1 }, { expect: 3 } as object)).rejects.toThrow(
    'did you mean `expected`',
  )
  await expect(repo.handle('1', { deposit: 1 }, { expected: -1 })).rejects.toThrow('expected must be')
  expect(() => repo.audit('1', { actors: 'ada' } as object)).toThrow('did you mean `actor`')
  expect(() => auditTrail(log, { streams: 'a' } as object)).toThrow('did you mean `stream`')
  await expect(repo.load('1', { revisions: 3 } as unknown as { revision: number })).rejects.toThrow(
    'a moment is { revision }',
  )
  await expect(openSnapshots('memory:', { clock: 1 } as object)).rejects.toThrow(
    'openSnapshots: clock is not an option',
  )
  expect(await log.revision('account-1')).toBe('none')
  await log.close()
})

it('options of snapshots that make no sense are refused', async () => {
  const log = await openLog('memory:')
  const store = memorySnapshots()
  for (const snapshots of [
    { store, version: 1.5 },
    { store, version: 1, every: 0 },
    { store, version: 1, each: 5 },
    { store } as { store: typeof store; version: number },
    { store: {} as typeof store, version: 1 },
  ])
    expect(() => repository(log, account, { category: 'account', snapshots })).toThrow(/snapshots\./)
  await log.close()
})

it('a category with a dash, or none, is refused', async () => {
  const log = await openLog('memory:')
  for (const category of ['', 'a-b', '$sys', undefined as unknown as string])
    expect(() => repository(log, account, { category })).toThrow(/category/)
  await log.close()
})

it('what is no log, no decider or no inverse is refused at once', async () => {
  const log = await openLog('memory:')
  const options = { category: 'account' }
  expect(() => repository('sqlite:./data' as never, account, options)).toThrow('must be a log')
  expect(() => repository(log, undefined as never, options)).toThrow('must be a decider')
  expect(() => repository(log, { ...account, evolve: undefined } as never, options)).toThrow(
    'initialState, decide and evolve',
  )
  expect(() => repository(log, account, { ...options, schemaVersions: { Deposited: 0 } })).toThrow(
    'schemaVersions.Deposited must be a whole number from 1',
  )
  expect(() => undoable(account, { inverse: { Deposited: 'Withdrawn' } } as never)).toThrow(
    'inverse.Deposited must be a function',
  )
  await log.close()
})

it.each([
  ['nothing', undefined, 'it gave undefined'],
  ['text', 'Deposited', 'it gave "Deposited"'],
  ['a promise', Promise.resolve([]), 'it gave a Promise: it must not be asynchronous'],
  ['a list with a hole', [null], 'it gave null'],
])('a decision of %s names the stream', async (_, decided, why) => {
  const log = await openLog('memory:')
  const repo = repository(log, { ...account, decide: () => decided as never }, { category: 'account' })
  await expect(repo.handle('1', { deposit: 1 })).rejects.toThrow(
    `decide must give an event, or a list of them ([] for nothing), for account-1; ${why}`,
  )
  await log.close()
})

it('a store of snapshots that does not answer is as good as none', async () => {
  const { telemetry, lines } = telling()
  const runtime = { ...virtualRuntime(), telemetry }
  const log = await openLog('memory:')
  const store = {
    read: () => new Promise<never>(() => undefined),
    write: () => new Promise<never>(() => undefined),
    delete: () => Promise.resolve(),
  }
  const snapshots = { store, version: 1, every: 1 }
  const repo = repository(log, account, { category: 'account', snapshots, runtime })
  const { clock } = runtime
  expect((await clock.settle(repo.handle('1', { deposit: 1 }))).state.balance).toBe(1)
  expect((await clock.settle(repo.load('1'))).state.balance).toBe(1)
  expect(lines).toContain(
    'the snapshot of account-1 cannot be used: Error: the store did not answer in 5000 ms',
  )
  expect(lines).toContain(
    'no snapshot of account-1 could be kept: Error: the store did not answer in 5000 ms',
  )
  await log.close()
})

it('a command that waits for its turn is ended by its signal, and one that takes long does not hold others up', async () => {
  const runtime = virtualRuntime()
  const log = await openLog('memory:')
  let isFirst = true
  const slow = altered(log, {
    append: (commit) => {
      if (!isFirst) return log.append(commit)
      isFirst = false
      return new Promise(() => undefined)
    },
  })
  const repo = repository(slow, account, { category: 'account', runtime })
  void repo.handle('1', { deposit: 1 })
  const stop = new AbortController()
  const stopped = repo.handle('1', { deposit: 2 }, { signal: stop.signal })
  const next = repo.handle('1', { deposit: 3 })
  stop.abort(new Error('enough'))
  await expect(stopped).rejects.toThrow('enough')
  expect((await runtime.clock.settle(next)).state.balance).toBe(3)
  await expect(repo.handle('1', { deposit: 1 }, { signal: stop.signal })).rejects.toThrow('enough')
  await log.close()
})

function telling(): { telemetry: Telemetry; lines: string[] } {
  const lines: string[] = []
  return { lines, telemetry: { ...noTelemetry, log: (_, message) => void lines.push(message) } }
}

it('a state that JSON would change is not kept, unless it is said how', async () => {
  interface Event {
    type: 'Named'
    data: string
  }
  const names: Decider<{ all: Set<string>; last?: string | undefined }, string, Event> = {
    initialState: () => ({ all: new Set(), last: undefined }),
    decide: (data) => ({ type: 'Named', data }),
    evolve: ({ all }, { data }) => ({ all: new Set([...all, data]), last: data === '' ? undefined : data }),
  }
  const warnings: string[] = []
  const telemetry = { ...noTelemetry, log: (_: string, message: string) => void warnings.push(message) }
  const log = await openLog('memory:')
  const store = memorySnapshots()
  const naming = (more: object) =>
    repository(log, names, {
      category: 'names',
      snapshots: { store, version: 1, every: 2, ...more },
      runtime: { ...systemRuntime, telemetry },
    })
  for (const name of ['a', 'b', '']) await naming({}).handle('1', name)
  expect((await naming({}).load('1')).state.all).toEqual(new Set(['a', 'b', '']))
  expect(warnings.at(-1)).toBe(
    'no snapshot of names-1 could be kept: Error: JSON changes it at "/all"; say with toJson and fromJson how it is kept',
  )
  expect(await store.read('names-1')).toBeUndefined()
  warnings.length = 0
  const said = {
    toJson: ({ all, last }: { all: Set<string>; last?: string }) => ({ all: [...all], last }),
    fromJson: (json: { all: string[]; last?: string }) => ({ ...json, all: new Set(json.all) }),
  }
  await naming(said).load('1')
  expect(await store.read('names-1')).toMatchObject({ revision: 2, state: '{"all":["a","b",""]}' })
  expect((await naming(said).load('1')).state.all).toEqual(new Set(['a', 'b', '']))
  expect(warnings).toEqual([])
  await log.close()
})
