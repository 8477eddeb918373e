import { expect, it } from 'vitest'
import { account } from '../../../test/support/account.js'
import { recordingTelemetry } from '../../../test/support/telemetry.js'
import { systemRuntime } from '../../core/runtime.js'
import { noTelemetry } from '../../core/telemetry.js'
import { auditTrail, memorySnapshots, openLog, openSnapshots, repository, type Decider } from '../index.js'

it('counts what came of commands, and how often they were decided again', async () => {
  const { telemetry, counts } = recordingTelemetry()
  const log = await openLog('memory:')
  const repo = repository(log, account, { category: 'account', runtime: { ...systemRuntime, telemetry } })
  await repo.handle('1', { deposit: 5 }, { id: 'c-1' })
  await repo.handle('1', { deposit: 5 }, { id: 'c-1' })
  await repo.handle('1', { withdraw: 0 })
  await repo.handle('1', { withdraw: 6 }).catch(() => undefined)
  await repo.handle('1', { deposit: 1 }, { expected: 7 }).catch(() => undefined)
  await Promise.all([repo.handle('2', { deposit: 1 }), repo.handle('2', { deposit: 1 })])
  await log.close()
  await repo.handle('1', { deposit: 1 }).catch(() => undefined)
  const of = (outcome: string) =>
    counts.get(`banyan.command.duration{banyan.category=account,banyan.command.outcome=${outcome}}`)
  const outcomes = ['handled', 'duplicate', 'nothing', 'refused', 'conflict', 'error']
  expect(outcomes.map(of)).toEqual([3, 1, 1, 1, 1, 1])
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
  ])
    expect(() => repository(log, account, { category: 'account', snapshots })).toThrow(/snapshots\./)
  await log.close()
})

it('a category with a dash, or none, is refused', async () => {
  const log = await openLog('memory:')
  for (const category of ['', 'a-b', undefined as unknown as string])
    expect(() => repository(log, account, { category })).toThrow(/category/)
  await log.close()
})

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
