import assert from 'node:assert/strict'
import type { Clock } from '../../core/clock.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { noTelemetry } from '../../core/telemetry.js'
import type {
  Change,
  Changes,
  Coordinator,
  DeleteResult,
  Lease,
  Listing,
  PutResult,
} from '../../coordination/coordinator.js'
import type { CoordinatorDriver } from '../../coordination/driver.js'
import { hasCode } from '../../coordination/errors.js'
import { soon } from '../conformance/kit.js'

/** The result of a `put` that had to succeed. */
export function done(result: PutResult): Extract<PutResult, { ok: true }> {
  assert.ok(result.ok, `expected it to be set, got ${JSON.stringify(result)}`)
  return result
}

/** What was there instead, of a change that had to be refused. */
export function refused(result: PutResult | DeleteResult): Extract<PutResult, { ok: false }>['actual'] {
  assert.ok(!result.ok, `expected it to be refused, got ${JSON.stringify(result)}`)
  return result.actual
}

/** Keys and values of a listing. */
export function pairs({ entries }: Listing): [string, string][] {
  return entries.map(({ key, value }) => [key, value])
}

/** A watch, change by change. */
export class Watching {
  readonly #ending = new AbortController()
  readonly #groups: AsyncIterator<Changes>
  #seen: Changes[] = []

  constructor(coordinator: Coordinator, prefix: string, after?: number) {
    const { signal } = this.#ending
    const options = after === undefined ? { signal } : { after, signal }
    this.#groups = coordinator.watch(prefix, options)[Symbol.asyncIterator]()
  }

  /** Everything that it has given until now. */
  get seen(): readonly Changes[] {
    return this.#seen
  }

  /** Goes on until `enough` holds for what it has given in all. */
  async until(what: string, enough: (groups: readonly Changes[]) => boolean): Promise<readonly Changes[]> {
    while (!enough(this.#seen)) {
      const next = await soon(
        this.#groups.next(),
        `${what} (the watch has given ${JSON.stringify(this.#seen.slice(-5))})`,
      )
      assert.ok(!next.done, `${what}: the watch has ended`)
      this.#take(next.value)
    }
    return this.#seen
  }

  /** Goes on until a key is deleted. */
  async deletion(key: string): Promise<Changes> {
    const groups = await this.until(`the end of ${key}`, (seen) => seen.some((group) => deletes(group, key)))
    return groups.find((group) => deletes(group, key))!
  }

  /** Goes on until a change of this revision, or a later one, was given. */
  upTo(revision: number): Promise<readonly Changes[]> {
    return this.until(`the change ${revision}`, (seen) => (seen.at(-1)?.revision ?? 0) >= revision)
  }

  async close(): Promise<void> {
    this.#ending.abort()
    await this.#groups.return?.()
  }

  #take(group: Changes): void {
    const last = this.#seen.at(-1)?.revision ?? -1
    // Progress may repeat the last revision; changes may not.
    if (group.changes.length === 0) {
      assert.ok(group.revision >= last, 'progress that goes back')
      return
    }
    assert.ok(group.revision > last, `the change ${group.revision} comes behind the change ${last}`)
    this.#seen.push(group)
  }
}

function deletes({ changes }: Changes, key: string): boolean {
  return changes.some((change) => change.kind === 'deleted' && change.key === key)
}

/** Changes as `+key=value` and `-key`. */
export function shown(groups: readonly Changes[]): string[][] {
  return groups.map(({ changes }) => changes.map(show))
}

function show(change: Change): string {
  return change.kind === 'put' ? `+${change.entry.key}=${change.entry.value}` : `-${change.key}`
}

/**
 * Waits for a time on the engine's clock: until a lease that nobody renews has ended.
 *
 * @param ttl - ms
 */
export async function engineTime(
  driver: CoordinatorDriver,
  coordinator: Coordinator,
  ttl: number,
): Promise<void> {
  const key = `time/${(times += 1)}`
  const watching = new Watching(coordinator, key, await driver.head())
  const { id } = await driver.grant(ttl)
  await driver.put(key, '', 'any', id)
  await watching.deletion(key)
  await watching.close()
}

let times = 0

/** A lease of this ttl, or of a longer one where the engine is too slow for it at the moment. */
export async function firmLease(coordinator: Coordinator, ttl: number): Promise<Lease> {
  for (let longer = ttl; ; longer *= 2) {
    try {
      return await coordinator.lease(longer)
    } catch (error) {
      if (!hasCode(error, 'BANYAN_LEASE_TTL') || longer > 16 * ttl) throw error
    }
  }
}

/** The system's runtime with another clock. */
export function runtimeWith(clock: Clock): Runtime {
  return { ...systemRuntime, clock, telemetry: noTelemetry }
}

/** A clock that runs `rate` times as fast as another. */
export function clockAtRate(clock: Clock, rate: number): Clock {
  const now = clock.now()
  const wall = clock.wall()
  return {
    now: () => now + (clock.now() - now) * rate,
    wall: () => wall + (clock.wall() - wall) * rate,
    // Never early, not even by what is lost in a division.
    schedule: (at, callback) => clock.schedule(now + (at - now) / rate + 1e-6, callback),
  }
}

/** A driver that does everything as another but what is given. */
export function wrapDriver(driver: CoordinatorDriver, parts: Partial<CoordinatorDriver>): CoordinatorDriver {
  return new Proxy(driver, {
    get(target, name) {
      if (name in parts) return parts[name as keyof CoordinatorDriver]
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value
    },
  })
}
