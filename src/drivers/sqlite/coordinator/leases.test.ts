import Database from 'better-sqlite3'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, expect, test } from 'vitest'
import { systemClock, type Clock } from '../../../core/clock.js'
import type { Maybe } from '../../../core/maybe.js'
import { virtualClock, type VirtualClock } from '../../../testing/virtual-clock.js'
import type { Changes } from '../../../coordination/coordinator.js'
import type { CoordinatorDriver } from '../../../coordination/driver.js'
import { openSqliteCoordinator } from './driver.js'
import { identityOf } from './place.js'
import { KEPT, KEPT_BYTES, KEPT_MS } from './store.js'

const root = mkdtempSync(join(tmpdir(), 'banyan-coordination-leases-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let files = 0
function freshFile(): string {
  return join(root, `store-${++files}.db`)
}

/**
 * @param machine - the clock of the machine
 * @param timers - that of the process: if it is another one that stands still, the process is stopped
 */
async function open(
  path: string,
  machine: VirtualClock,
  timers: Clock = machine,
): Promise<CoordinatorDriver> {
  const surroundings = { machine: { boot: 'boot', now: () => machine.now() }, identityOf }
  return openSqliteCoordinator({ driver: 'sqlite', path }, { clock: timers }, surroundings)
}

function watching(driver: CoordinatorDriver, after: number): { seen: Changes[]; stop: AbortController } {
  const stop = new AbortController()
  const seen: Changes[] = []
  const run = async (): Promise<void> => {
    for await (const changes of driver.watch('', after, stop.signal)) seen.push(changes)
  }
  void run()
  return { seen, stop }
}

/** The clock goes on with real time: whoever finds the file taken by a thread of another one waits by it. */
async function asTimePasses<T>(clock: VirtualClock, ask: () => Maybe<T>): Promise<T> {
  const state = { settled: false }
  const done = (): void => {
    state.settled = true
  }
  const result = (async () => ask())()
  result.then(done, done)
  while (!state.settled) {
    await setTimeout(1)
    await clock.advance(1)
  }
  return result
}

/** Wake-ups of files come in real time. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
}

test('a lease of a process that is stopped ends at the hands of another one that waits for it', async () => {
  const file = freshFile()
  const machine = virtualClock()
  const stopped = await open(file, machine, virtualClock())
  const other = await open(file, machine)
  const { id } = await stopped.grant(1000)
  await stopped.put('b', '1', 'any', id)
  await stopped.put('a', '2', 'any', id)
  const after = await other.head()
  const { seen, stop } = watching(other, after)
  await turns()
  await machine.advance(999)
  await turns()
  expect(seen).toEqual([])
  await machine.advance(2)
  await turns()
  expect(seen).toEqual([
    {
      revision: after + 1,
      changes: [
        { kind: 'deleted', key: 'a' },
        { kind: 'deleted', key: 'b' },
      ],
    },
  ])
  expect(await stopped.renew([id], 1000)).toEqual([false])
  stop.abort()
  await stopped.close()
  await other.close()
})

test('a lease is over for whoever asks, if nobody had a timer', async () => {
  const file = freshFile()
  const machine = virtualClock()
  const holder = await open(file, machine, virtualClock())
  const { id } = await holder.grant(1000)
  await holder.put('k', 'v', 'any', id)
  const other = await open(file, machine, virtualClock())
  expect(await other.get('k')).toMatchObject({ lease: id })
  await machine.advance(1001)
  expect(await other.get('k')).toBeUndefined()
  await expect((async () => holder.put('k', 'w', 'any', id))()).rejects.toMatchObject({
    code: 'BANYAN_LEASE_LOST',
  })
  await holder.close()
  await other.close()
})

test('many that end at once end little by little, and nobody waits for all of them', async () => {
  const file = freshFile()
  const machine = virtualClock()
  const stopped = await open(file, machine, virtualClock())
  for (let count = 0; count < 1000; count++) {
    const { id } = await stopped.grant(1000)
    await stopped.put(`k${count}`, 'v', 'any', id)
  }
  const { id } = await stopped.grant(10_000)
  await stopped.put('other', 'v', 'any', id)
  await machine.advance(1001)
  const other = await asTimePasses(machine, () => open(file, machine))
  let left = 1001
  for (; left === 1001; left = leasesIn(file))
    expect(await asTimePasses(machine, () => other.get('other'))).toBeDefined()
  expect(left).toBeGreaterThan(700)
  const { stop } = watching(other, await asTimePasses(machine, () => other.head()))
  // When somebody waits for changes is a matter of the machine; the leases end by the clock.
  for (; left > 1; left = leasesIn(file)) {
    await turns()
    await machine.advance(10)
  }
  expect((await other.list('')).entries.map(({ key }) => key)).toEqual(['other'])
  stop.abort()
  await stopped.close()
  await other.close()
})

test('a renewal counts from when it is made', async () => {
  const file = freshFile()
  const machine = virtualClock()
  const driver = await open(file, machine)
  const { id } = await driver.grant(1000)
  await driver.put('k', 'v', 'any', id)
  for (let renewal = 0; renewal < 5; renewal++) {
    await machine.advance(900)
    expect(await driver.renew([id], 1000)).toEqual([true])
  }
  await machine.advance(999)
  expect(await driver.get('k')).toBeDefined()
  await machine.advance(2)
  expect(await driver.get('k')).toBeUndefined()
  await driver.close()
})

test('a process keeps no timer when it has no lease and waits for nothing', async () => {
  const machine = virtualClock()
  const driver = await open(freshFile(), machine)
  const { id } = await driver.grant(1000)
  const { id: other } = await driver.grant(1000)
  await driver.put('k', 'v', 'any', id)
  await driver.revoke(other)
  expect(machine.pending).toBeGreaterThan(0)
  await machine.advance(2000)
  expect(machine.pending).toBe(0)
  await driver.close()
})

test('the last changes are kept, and all that are young', async () => {
  const machine = virtualClock()
  const driver = await open(freshFile(), machine, systemClock)
  const { id } = await driver.grant(3_600_000)
  const first = await put(driver, id, 1)
  await put(driver, id, KEPT + 1000)
  expect(await behind(driver, first)).toBe(first + 1)
  await machine.advance(KEPT_MS + 1)
  const last = await put(driver, id, 2000)
  expect(await behind(driver, first)).toBe('BANYAN_COMPACTED')
  expect(await behind(driver, last - KEPT)).toBe(last - KEPT + 1)
  await driver.close()
})

test('large changes are kept as long as there is space for them, and read in parts', async () => {
  const machine = virtualClock()
  const driver = await open(freshFile(), machine, systemClock)
  const { id } = await driver.grant(3_600_000)
  const value = 'x'.repeat(200 * 1024)
  const fit = Math.floor(KEPT_BYTES / value.length)
  const first = await put(driver, id, 1)
  await put(driver, id, fit + 200, value)
  expect(await behind(driver, first)).toBe('BANYAN_COMPACTED')
  const last = await driver.head()
  const seen: number[] = []
  for await (const { revision } of driver.watch('', last - 100, new AbortController().signal)) {
    seen.push(revision)
    if (revision === last) break
  }
  expect(seen).toEqual(Array.from({ length: 100 }, (_, index) => last - 99 + index))
  await driver.close()
})

/** How many leases a file has. */
function leasesIn(file: string): number {
  const db = new Database(file, { readonly: true })
  try {
    return db.prepare('SELECT count(*) FROM leases').pluck().get() as number
  } finally {
    db.close()
  }
}

/** The next change behind a revision, or why there is none. */
async function behind(driver: CoordinatorDriver, after: number): Promise<unknown> {
  const watch = driver.watch('', after, new AbortController().signal)[Symbol.asyncIterator]()
  try {
    const { value } = (await watch.next()) as { value: Changes }
    return value.revision
  } catch (error) {
    return (error as { code: string }).code
  } finally {
    await watch.return?.()
  }
}

async function put(driver: CoordinatorDriver, lease: string, times: number, value = 'v'): Promise<number> {
  for (let count = 0; count < times; count++) await driver.put(`k${count % 10}`, value, 'any', lease)
  return driver.head()
}
