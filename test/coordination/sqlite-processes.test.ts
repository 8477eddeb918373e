import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { openCoordinator, type Changes, type Coordinator } from '../../src/coordination/index.js'
import { Child } from '../faults/support/child.js'
import { times } from '../support/effort.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-coordination-processes-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let stores = 0
function freshPlace(): string {
  return `sqlite:${join(root, `store-${++stores}`)}`
}

const COUNTS = times(40)

test('what several processes count up loses nothing when one is killed, and all see every change in the same order', async () => {
  const where = freshPlace()
  // All of them find no file.
  const counters = ['a', 'b', 'c'].map(
    (name) =>
      // The first is killed long before its end.
      new Child('counter.mjs', { where, name, times: name === 'a' ? 100 * COUNTS : COUNTS, ttl: 600 }),
  )
  await Promise.all(counters.map(({ ready }) => ready))
  expect(counters.filter(({ stdout }) => stdout.startsWith('first'))).toHaveLength(1)
  const watcher = new Child('watcher.mjs', { where, after: 1 })
  const coordinator = await openCoordinator(where)
  const seenHere = changesUpToEnd(coordinator, 1)

  const [victim, ...others] = counters
  await victim!.lines(COUNTS / 2)
  victim!.signal('SIGKILL')
  await Promise.all(others.map((counter) => counter.said('done')))
  await victim!.exited
  await gone(coordinator, 'marks/a/')
  await Promise.all(others.map((counter) => counter.finish()))
  await coordinator.put('end', '')

  const counted = Number((await coordinator.get('counter'))?.value)
  const told = counters.flatMap(({ stdout }) => stdout.match(/^counted \d+$/gm) ?? [])
  expect(new Set(told).size).toBe(told.length)
  // The one that was killed may have counted without telling.
  expect([told.length, told.length + 1]).toContain(counted)

  const here = await seenHere
  const there = (await watcher.output())
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Changes)
  expect(there).toEqual(here)
  for (const [index, { revision }] of here.entries())
    if (index > 0) expect(revision).toBeGreaterThan(here[index - 1]!.revision)
  const counts = here.flatMap(({ changes }) =>
    changes.flatMap((change) =>
      change.kind === 'put' && change.entry.key === 'counter' ? [change.entry.value] : [],
    ),
  )
  expect(counts).toEqual(Array.from({ length: counted }, (_, index) => `${index + 1}`))
  // All keys of a process end at once, with one revision.
  for (const name of ['a', 'b', 'c'])
    expect(here.filter((group) => group.changes.some((change) => deletes(change, name)))).toHaveLength(1)
  expect((await coordinator.list('')).entries.map(({ key }) => key)).toEqual(['counter', 'end', 'first'])
  await coordinator.close()
})

test('a holder that is stopped for longer than its lease does nothing more when it goes on', async () => {
  const where = freshPlace()
  const coordinator = await openCoordinator(where)
  const holder = new Child('lease-holder.mjs', { where, ttl: 500 })
  await holder.said('working')
  holder.signal('SIGSTOP')
  await gone(coordinator, 'held')
  const lease = await coordinator.lease('1m')
  const mine = await coordinator.put('held', 'me', { lease, expected: 'absent' })
  if (!mine.ok) throw new Error('it was not free')
  await coordinator.put('guarded', String(mine.created), { lease })
  holder.signal('SIGCONT')
  expect(await holder.output()).toMatch(/lost BANYAN_LEASE_LOST\n$/)
  expect((await coordinator.get('guarded'))?.value).toBe(String(mine.created))
  await coordinator.close()
})

function deletes(change: Changes['changes'][number], name: string): boolean {
  return change.kind === 'deleted' && change.key.startsWith(`marks/${name}/`)
}

async function changesUpToEnd(coordinator: Coordinator, after: number): Promise<Changes[]> {
  const seen: Changes[] = []
  for await (const group of coordinator.watch('', { after })) {
    seen.push(group)
    if (group.changes.some((change) => change.kind === 'put' && change.entry.key === 'end')) break
  }
  return seen
}

/** Waits until no key begins with a prefix. */
async function gone(coordinator: Coordinator, prefix: string): Promise<void> {
  const { entries, revision } = await coordinator.list(prefix)
  if (entries.length === 0) return
  const ending = new AbortController()
  for await (const { changes } of coordinator.watch(prefix, { after: revision, signal: ending.signal }))
    if (changes.some(({ kind }) => kind === 'deleted')) break
  ending.abort()
  await gone(coordinator, prefix)
}
