import { BanyanError } from '../../core/errors.js'
import type { Held } from '../line/held.js'
import type { AcquireOptions, Lock } from '../line/lock.js'

/** Several locks that are held together. See {@link lockAll}. */
export interface HeldAll extends AsyncDisposable {
  /** Each of them, by the name of its lock. */
  readonly byName: ReadonlyMap<string, Held>
  /** Aborts when one of them is lost, or all are released. */
  readonly signal: AbortSignal
  /** @throws `BANYAN_LEASE_LOST` unless all are held at this moment */
  readonly check: () => void
  /** Gives all of them back. Never fails. */
  release(): Promise<void>
}

/**
 * Acquires several locks, one after the other in the order of their names: so two who want some of the same do not wait for
 * each other for ever. If one cannot be had, none is kept. If one is lost while another is waited for, it begins anew. A time-out is for
 * each.
 *
 * @param locks - of different names, of one kind
 */
export async function lockAll(locks: readonly Lock[], options: AcquireOptions = {}): Promise<HeldAll> {
  const given: unknown = locks
  if (!Array.isArray(given) || !given.every(isLock))
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'lockAll: must be a list of locks, as `lock` makes them')
  const sorted = [...locks].sort((a, b) => (a.name < b.name ? -1 : 1))
  const twice = sorted.find(({ name }, index) => sorted[index + 1]?.name === name)
  if (twice)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `lockAll: ${JSON.stringify(twice.name)} is named twice, and would wait for itself`,
    )
  for (;;) {
    const all = await acquireAll(sorted, options)
    if (Array.from(all.byName.values(), ({ held }) => held).every(Boolean)) return all
    await all.release()
  }
}

function isLock(value: unknown): boolean {
  return typeof (value as Partial<Lock> | null | undefined)?.acquire === 'function'
}

async function acquireAll(locks: readonly Lock[], options: AcquireOptions): Promise<HeldAll> {
  const held = new Map<string, Held>()
  const release = async (): Promise<void> => {
    await Promise.all(Array.from(held.values(), (each) => each.release()))
  }
  try {
    for (const each of locks) held.set(each.name, await each.acquire(options))
  } catch (error) {
    await release()
    throw error
  }
  return {
    byName: held,
    signal: AbortSignal.any(Array.from(held.values(), ({ signal }) => signal)),
    check() {
      for (const each of held.values()) each.check()
    },
    release,
    [Symbol.asyncDispose]: release,
  }
}
