import { describe, expect, it, vi } from 'vitest'
import { processes } from '../../../test/support/coordinators.js'
import { recordingTelemetry } from '../../../test/support/telemetry.js'
import { wrapDriver } from '../../testing/coordination/kit.js'
import type { CoordinatorDriver } from '../driver.js'
import { coordinationError } from '../errors.js'
import { forceUnlock, lock, lockAll, readLocks, type Held } from '../index.js'

/** A driver that counts what it is asked for. */
function counting(driver: CoordinatorDriver, counts: Map<string, number>): CoordinatorDriver {
  return new Proxy(driver, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...given: unknown[]): unknown => {
        counts.set(String(name), (counts.get(String(name)) ?? 0) + 1)
        return Reflect.apply(value, target, given)
      }
    },
  })
}

const unknown = (): never => {
  throw coordinationError('BANYAN_OUTCOME_UNKNOWN', 'the connection was lost')
}
const away = (): never => {
  throw coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', 'the engine is away')
}

describe('a lock', () => {
  it('is held by one at a time, in the order of coming, with rising tokens', async () => {
    const { clock, open } = processes()
    const order: string[] = []
    const tokens: number[] = []
    let inside = 0
    const work = async (name: string, held: Held): Promise<void> => {
      expect(++inside).toBe(1)
      order.push(name)
      tokens.push(held.token)
      await new Promise<void>((resolve) => clock.schedule(clock.now() + 10, resolve))
      held.check()
      inside--
    }
    const all: Promise<void>[] = []
    for (const name of ['a', 'b', 'c', 'd']) {
      const mutex = lock(open(), 'x', { holder: name })
      all.push(mutex.run((held) => work(name, held)))
      all.push(mutex.run((held) => work(`${name}2`, held)))
      await clock.advance(1)
    }
    await clock.settle(Promise.all(all))
    expect(order).toEqual(['a', 'a2', 'b', 'b2', 'c', 'c2', 'd', 'd2'])
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b))
    expect(new Set(tokens).size).toBe(8)
  })

  it.each(['acquire', 'tryAcquire'] as const)(
    'that the engine does not speak of in time says so: %s',
    async (method) => {
      const { clock, open } = processes()
      const never = new Promise<never>(() => undefined)
      const silent = open({ wrap: (driver) => wrapDriver(driver, { list: () => never, put: () => never }) })
      const attempt = expect(lock(silent, 'x')[method]({ timeout: '1s' })).rejects.toMatchObject({
        code: 'BANYAN_LOCK_TIMEOUT',
        message: 'the lock "x" could not be had within 1s: the engine has not said yet whether it is free',
      })
      await clock.advance('1s')
      await attempt
    },
  )

  it('is waited for by any number with one signal', async () => {
    const { clock, open } = processes()
    const warnings: Error[] = []
    const warn = (warning: Error): void => void warnings.push(warning)
    process.on('warning', warn)
    const coordinator = open()
    const { signal } = new AbortController()
    const mutex = lock(coordinator, 'x')
    const held = await mutex.acquire({ signal })
    const all = Array.from({ length: 20 }, () => mutex.run(() => undefined, { signal }))
    await clock.advance(1)
    await new Promise((resolve) => setImmediate(resolve))
    await held.release()
    await clock.settle(Promise.all(all))
    process.off('warning', warn)
    expect(warnings).toEqual([])
  })

  it('that nobody else wants costs a put, a list and a delete, and neither a watch nor a timer', async () => {
    const { clock, open } = processes()
    const counts = new Map<string, number>()
    const coordinator = open({ wrap: (driver) => counting(driver, counts) })
    const mutex = lock(coordinator, 'x')
    await mutex.run(() => undefined)
    counts.clear()
    const timers = clock.pending
    for (let round = 0; round < 10; round++) await mutex.run(() => undefined)
    expect(Object.fromEntries(counts)).toEqual({ put: 10, list: 10, delete: 10 })
    expect(clock.pending).toBe(timers)
  })

  it.each(['acquire', 'tryAcquire'] as const)(
    'is kept by nobody whose %s was given up at the moment it came',
    async (method) => {
      const { clock, open, store } = processes()
      const outcomes = new Set<string>()
      for (let steps = 0; steps < 40; steps++) {
        const stop = new AbortController()
        const later = async (): Promise<void> => {
          for (let step = 0; step < steps; step++) await Promise.resolve()
          stop.abort(coordinationError('BANYAN_LEASE_LOST', 'what it is wanted for is over'))
        }
        const coordinator = open({
          wrap: (driver) =>
            wrapDriver(driver, {
              put: async (...given) => {
                const result = await driver.put(...given)
                void later()
                return result
              },
            }),
        })
        const acquiring = lock(coordinator, 'x')[method]({ signal: stop.signal })
        const outcome = await acquiring.then(
          (held) => held,
          () => undefined,
        )
        outcomes.add(outcome ? 'held' : 'given up')
        await outcome?.release()
        await clock.advance(1)
        expect(store.list('banyan/locks/').entries, `after ${steps} steps`).toEqual([])
      }
      expect([...outcomes]).toEqual(['given up', 'held'])
    },
  )

  it('is not kept from others by a put that arrives half a minute after it was given back', async () => {
    const { clock, open, store } = processes()
    let isLost = false
    const coordinator = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          put: (...given) => {
            if (isLost) return driver.put(...given)
            isLost = true
            clock.schedule(clock.now() + 30_000, () => void driver.put(...given))
            return unknown()
          },
        }),
    })
    await clock.settle(lock(coordinator, 'x').run(() => undefined))
    await clock.advance(30_000 - clock.now())
    expect(store.list('banyan/locks/').entries).toHaveLength(1)
    await clock.advance('3s')
    expect(store.list('banyan/locks/').entries).toEqual([])
  })

  it('that is released wakes one of those who wait', async () => {
    const { clock, open } = processes()
    const counts = new Map<string, number>()
    const holder = await lock(open(), 'x').acquire()
    const held: Held[] = []
    for (let waiter = 0; waiter < 10; waiter++) {
      const coordinator = open({ wrap: (driver) => counting(driver, counts) })
      void lock(coordinator, 'x')
        .acquire()
        .then((each) => held.push(each))
      await clock.advance(1)
    }
    counts.clear()
    await holder.release()
    await clock.advance(1)
    expect(held).toHaveLength(1)
    expect(counts.get('list')).toBe(1)
    expect(counts.get('put')).toBeUndefined()
  })

  it('is not had by who has given up waiting, and others need not wait for them', async () => {
    const { clock, open, store } = processes()
    const mutex = lock(open(), 'x', { wait: '1s', holder: 'first' })
    const first = await mutex.acquire()
    const stop = new AbortController()
    const timed = mutex.acquire()
    const cancelled = lock(open(), 'x').acquire({ signal: stop.signal })
    await clock.advance(1)
    const third = lock(open(), 'x').acquire()
    await clock.advance(1)
    expect(store.list('banyan/locks/x/').entries).toHaveLength(4)
    stop.abort(new Error('not wanted'))
    await expect(cancelled).rejects.toThrow('not wanted')
    const late = expect(timed).rejects.toMatchObject({
      code: 'BANYAN_LOCK_TIMEOUT',
      message: 'the lock "x" was not free within 1s: it is held by first, 1 in front',
    })
    await clock.advance('1s')
    await late
    expect(store.list('banyan/locks/x/').entries).toHaveLength(2)
    await first.release()
    expect((await clock.settle(third)).held).toBe(true)
  })

  it('is given up by a holder without contact before anybody else has it', async () => {
    const { clock, open } = processes()
    let cut = false
    const lonely = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          renew: (leases, within) => (cut ? away() : driver.renew(leases, within)),
          delete: (key, expected) => (cut ? away() : driver.delete(key, expected)),
        }),
    })
    const first = await lock(lonely, 'x', { ttl: '10s' }).acquire()
    const { signal } = first
    await clock.advance('1m')
    expect(first.held).toBe(true)
    cut = true
    const began = clock.now()
    let second: Held | undefined
    let ended = 0
    signal.addEventListener('abort', () => (ended = clock.now()))
    void lock(open(), 'x')
      .acquire()
      .then((held) => (second = held))
    await clock.advance('30s')
    expect(second?.held).toBe(true)
    expect(second!.token).toBeGreaterThan(first.token)
    expect(ended - began).toBeLessThanOrEqual(5000)
    expect(signal.reason).toMatchObject({ code: 'BANYAN_LEASE_LOST' })
    expect(() => first.check()).toThrow(/the lock "x" is lost, .*no renewal was answered/)
    await first.release()
    expect(second!.held).toBe(true)
  })

  it('is known to be lost by the clock when the process stood still and no timer has run', async () => {
    const { clock, open } = processes()
    let ahead = 0
    const frozen = open({
      clock: { ...clock, now: () => clock.now() + ahead, wall: () => clock.wall() + ahead },
    })
    const held = await lock(frozen, 'x', { ttl: '10s' }).acquire()
    held.check()
    ahead = 5001
    expect(held.held).toBe(false)
    expect(() => held.check()).toThrow(expect.objectContaining({ code: 'BANYAN_LEASE_LOST' }))
    expect(held.signal.aborted).toBe(true)
  })

  it('is not won by who has lost the lease in line: that one begins anew, at the end', async () => {
    const { clock, open } = processes()
    let cut = false
    const unlucky = open({
      wrap: (driver) =>
        wrapDriver(driver, { renew: (leases, within) => (cut ? away() : driver.renew(leases, within)) }),
    })
    const first = await lock(open(), 'x').acquire()
    const won: string[] = []
    void lock(unlucky, 'x')
      .acquire()
      .then((held) => {
        expect(held.held).toBe(true)
        won.push('unlucky')
        return held.release()
      })
    await clock.advance(1)
    void lock(open(), 'x')
      .acquire()
      .then((held) => {
        won.push('third')
        return held.release()
      })
    cut = true
    await clock.advance('20s')
    cut = false
    await clock.advance('20s')
    expect(won).toEqual([])
    await first.release()
    await clock.advance('1s')
    expect(won).toEqual(['third', 'unlucky'])
  })

  it.each([
    ['it was done', true],
    ['it was not done', false],
  ])('has one place for each who waits, also if no answer comes to the put: %s', async (_, isDone) => {
    const { clock, open, store } = processes()
    let lost = 0
    const coordinator = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          put: (...given) => {
            if (++lost > 2) return driver.put(...given)
            if (isDone) void driver.put(...given)
            return unknown()
          },
        }),
    })
    const held = await clock.settle(lock(coordinator, 'x').acquire())
    const { entries } = store.list('banyan/locks/x/')
    expect(entries.map(({ created }) => created)).toEqual([held.token])
    await held.release()
    expect(store.list('banyan/locks/x/').entries).toEqual([])
    await clock.advance('1m')
  })

  it('does not wait for ever for a put that arrives when nobody waits for it any more', async () => {
    const { clock, open, store } = processes()
    const late: (() => void)[] = []
    const coordinator = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          put: (...given) => {
            late.push(() => void driver.put(...given))
            return unknown()
          },
        }),
    })
    const stop = new AbortController()
    const waiting = lock(coordinator, 'x').acquire({ signal: stop.signal })
    await clock.advance(1)
    stop.abort(new Error('not wanted'))
    await expect(waiting).rejects.toThrow('not wanted')
    await clock.advance('2s')
    for (const arrive of late) arrive()
    expect(store.list('banyan/locks/x/').entries).toHaveLength(1)
    const held = await clock.settle(lock(open(), 'x').acquire({ timeout: '15s' }))
    expect(held.held).toBe(true)
  })

  it.each(['the delete', 'the list'] as const)('goes on when %s is not answered at first', async (what) => {
    const { clock, open, store } = processes()
    let failures = 3
    const coordinator = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          [what === 'the list' ? 'list' : 'delete']: (...given: [string, 'any']): unknown => {
            if (failures-- > 0) return failures === 1 ? away() : unknown()
            return what === 'the list' ? driver.list(given[0]) : driver.delete(...given)
          },
        }),
    })
    const held = await clock.settle(lock(coordinator, 'x').acquire())
    await held.release()
    await clock.advance('10s')
    expect(failures).toBeLessThan(0)
    expect(store.list('banyan/locks/x/').entries).toEqual([])
  })

  it('is waited for also when what happened meanwhile is not kept any more', async () => {
    const { clock, open, store } = processes()
    const first = await lock(open(), 'x').acquire()
    let isLate = true
    const slow = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          // Begins so late that the history has moved on.
          async *watch(prefix, after, signal) {
            if (isLate) await new Promise<void>((resolve) => clock.schedule(clock.now() + 1000, resolve))
            yield* driver.watch(prefix, after, signal)
          },
        }),
    })
    const second = lock(slow, 'x').acquire()
    await clock.advance(1)
    await first.release()
    for (let round = 0; round < 30_000; round++) store.put('other', '', 'any', undefined)
    isLate = false
    expect((await clock.settle(second)).held).toBe(true)
  })

  it('can be taken away by an operator: the holder is told at once, the next has it', async () => {
    const { clock, open } = processes()
    const first = await lock(open(), 'x', { holder: 'stuck' }).acquire()
    const second = lock(open(), 'x', { holder: 'next' }).acquire()
    const told = vi.fn()
    first.signal.addEventListener('abort', told)
    await clock.advance('1s')
    const operator = open()
    expect(await forceUnlock(operator, 'x', { token: first.token + 1 })).toEqual([])
    expect(await forceUnlock(operator, 'x')).toMatchObject([{ holder: 'stuck', token: first.token }])
    await clock.advance(1)
    expect(told).toHaveBeenCalledOnce()
    expect(first.held).toBe(false)
    expect(() => first.check()).toThrow('the lock "x" is lost, its key was deleted')
    expect((await second).held).toBe(true)
    await first.release()
    expect((await second).held).toBe(true)
    expect(await readLocks(operator)).toMatchObject([{ holders: [{ holder: 'next' }], waiting: [] }])
  })

  it('shows other programs with what they have put, or with what their key is called', async () => {
    const { store, open } = processes()
    store.put('banyan/locks/x/694d8c2f', '', 'any', undefined)
    store.put('banyan/locks/x/694d8c30', 'web-1', 'any', undefined)
    store.put('banyan/locks/x/694d8c31', '{"pid":1}', 'any', undefined)
    expect(await readLocks(open())).toMatchObject([
      { holders: [{ holder: '694d8c2f', since: 0 }], waiting: [{ holder: 'web-1' }, { holder: '694d8c31' }] },
    ])
  })

  it('is not won by who was taken out of the line: that one begins anew, at the end', async () => {
    const { clock, open, store } = processes()
    const first = await lock(open(), 'x').acquire()
    const order: string[] = []
    for (const name of ['removed', 'other']) {
      void lock(open(), 'x', { holder: name })
        .run(() => order.push(name))
        .catch(() => order.push(`${name} failed`))
      await clock.advance(1)
    }
    const { key } = store.list('banyan/locks/x/').entries.find(({ value }) => value.includes('removed'))!
    await open().delete(key)
    // In the same moment, so that it looks only once.
    await first.release()
    await clock.advance('1s')
    expect(order).toEqual(['other', 'removed'])
  })

  it('is tried without waiting, and without writing if it is held', async () => {
    const { clock, open, store } = processes()
    const first = await lock(open(), 'x').tryAcquire()
    expect(first?.held).toBe(true)
    const { revision } = store
    expect(await lock(open(), 'x').tryAcquire()).toBeUndefined()
    expect(store.revision).toBe(revision)
    await first!.release()
    const both = await Promise.all([lock(open(), 'x').tryAcquire(), lock(open(), 'x').tryAcquire()])
    expect(both.filter((held) => held !== undefined)).toHaveLength(1)
    await clock.advance('1m')
    expect(store.list('banyan/locks/x/').entries).toHaveLength(1)
  })

  it('that was tried without an answer is not kept from others', async () => {
    const { clock, open, store } = processes()
    const coordinator = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          put: (...given) => {
            void driver.put(...given)
            return unknown()
          },
        }),
    })
    await expect(lock(coordinator, 'x').tryAcquire()).rejects.toMatchObject({
      code: 'BANYAN_OUTCOME_UNKNOWN',
    })
    await clock.advance('1s')
    expect(store.list('banyan/locks/x/').entries).toEqual([])
  })

  it('that was lost while the work went on is told to whoever waits for the work', async () => {
    const { clock, open } = processes()
    const operator = open()
    const running = lock(open(), 'x').run(async () => {
      await new Promise<void>((resolve) => clock.schedule(clock.now() + 1000, resolve))
      return 'done'
    })
    const failed = expect(running).rejects.toMatchObject({ code: 'BANYAN_LEASE_LOST' })
    await clock.advance(500)
    await forceUnlock(operator, 'x')
    await clock.advance('1s')
    await failed
  })

  it('that was taken away for a moment, in which it is not watched, is told to whoever waits for the work', async () => {
    const { clock, open, store } = processes()
    const mutex = lock(open(), 'x')
    const operator = open()
    await expect(mutex.run(() => forceUnlock(operator, 'x'))).rejects.toMatchObject({
      code: 'BANYAN_LEASE_LOST',
      message: 'the lock "x" is lost, its key was deleted: somebody has unlocked it by force',
    })
    await expect(
      mutex.run(async () => {
        await forceUnlock(operator, 'x')
        throw new Error('broken')
      }),
    ).rejects.toThrow('broken')
    expect(await mutex.run(() => 'done')).toBe('done')
    await clock.advance('1s')
    expect(store.list('banyan/locks/').entries).toEqual([])
  })

  it('that is lost is given up without a wait for the engine, which may be away', async () => {
    const { clock, open } = processes()
    let cut = false
    const never = new Promise<never>(() => undefined)
    const coordinator = open({
      wrap: (driver) =>
        wrapDriver(driver, {
          renew: (leases, within) => (cut ? away() : driver.renew(leases, within)),
          delete: (key, expected) => (cut ? never : driver.delete(key, expected)),
        }),
    })
    const running = lock(coordinator, 'x').run(
      ({ signal }) => new Promise((resolve) => signal.addEventListener('abort', resolve)),
    )
    await clock.advance(1)
    cut = true
    const failed = expect(running).rejects.toMatchObject({ code: 'BANYAN_LEASE_LOST' })
    await clock.advance('6s')
    await failed
  })

  it('is released when the work fails, and by `await using`', async () => {
    const { open, store } = processes()
    const mutex = lock(open(), 'x')
    await expect(mutex.run(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
    {
      await using held = await mutex.acquire()
      expect(held.held).toBe(true)
    }
    expect(store.list('banyan/').entries).toEqual([])
  })

  it('is not re-entrant: who holds it waits for itself', async () => {
    const { clock, open } = processes()
    const mutex = lock(open(), 'x', { wait: '1s' })
    const twice = mutex.run(() => mutex.run(() => undefined))
    const failed = expect(twice).rejects.toMatchObject({ code: 'BANYAN_LOCK_TIMEOUT' })
    await clock.advance('2s')
    await failed
  })

  it('ends with its coordinator', async () => {
    const { clock, open } = processes()
    const coordinator = open()
    const held = await lock(coordinator, 'x').acquire()
    const waiting = expect(lock(coordinator, 'x').acquire()).rejects.toMatchObject({
      code: 'BANYAN_COORDINATOR_CLOSED',
    })
    await clock.advance(1)
    await coordinator.close()
    await waiting
    expect(held.held).toBe(false)
    const { held: next } = await clock.settle(lock(open(), 'x').acquire())
    expect(next).toBe(true)
  })

  it('has names of all kinds, and refuses what is none, and options that it does not know', async () => {
    const { open } = processes()
    const coordinator = open()
    await using a = await lock(coordinator, 'a').acquire()
    await using b = await lock(coordinator, 'a/b%').acquire()
    expect([a.held, b.held]).toEqual([true, true])
    expect((await readLocks(coordinator)).map(({ name }) => name)).toEqual(['a', 'a/b%'])
    expect(() => lock(coordinator, '')).toThrow(expect.objectContaining({ code: 'BANYAN_INVALID_KEY' }))
    expect(() => lock(coordinator, 'x'.repeat(500))).toThrow(
      expect.objectContaining({ code: 'BANYAN_INVALID_KEY' }),
    )
    expect(() => lock(coordinator, 'x', { tll: '1s' } as object)).toThrow('did you mean `ttl`')
    await expect(lock(coordinator, 'x').acquire({ timeout: 'soon' as '1s' })).rejects.toMatchObject({
      code: 'BANYAN_INVALID_OPTIONS',
    })
  })

  it('is measured by kind', async () => {
    const { clock, open } = processes()
    const { telemetry, counts } = recordingTelemetry()
    const coordinator = open({ telemetry })
    const mutex = lock(coordinator, 'x')
    const held = await mutex.acquire()
    const late = expect(mutex.acquire({ timeout: '1s' })).rejects.toThrow()
    await clock.advance('2s')
    await late
    await forceUnlock(coordinator, 'x')
    await clock.advance('1s')
    await held.release()
    const ofLocks = [...counts].filter(([name]) => name.startsWith('banyan.lock.'))
    expect(Object.fromEntries(ofLocks)).toEqual({
      'banyan.lock.acquisitions{banyan.lock.kind=lock}': 1,
      'banyan.lock.wait{banyan.lock.kind=lock}': 1,
      'banyan.lock.timeouts{banyan.lock.kind=lock}': 1,
      'banyan.lock.held{banyan.lock.kind=lock}': 1,
      'banyan.lock.losses{banyan.lock.kind=lock}': 1,
    })
  })
})

describe('several locks', () => {
  it('are had in one order, whatever the order they are asked for in', async () => {
    const { clock, open } = processes()
    const both = [open(), open()].map(
      (coordinator) => [lock(coordinator, 'a'), lock(coordinator, 'b')] as const,
    )
    let inside = 0
    const work = async (locks: Parameters<typeof lockAll>[0]): Promise<void> => {
      await using held = await lockAll(locks)
      expect(++inside).toBe(1)
      await new Promise<void>((resolve) => clock.schedule(clock.now() + 10, resolve))
      held.check()
      expect([...held.byName.keys()]).toEqual(['a', 'b'])
      inside--
    }
    const [[a, b], [a2, b2]] = both as [(typeof both)[0], (typeof both)[0]]
    await clock.settle(Promise.all([work([a, b]), work([b2, a2])]))
  })

  it('are had together or not at all', async () => {
    const { clock, open, store } = processes()
    const coordinator = open()
    const b = await lock(open(), 'b').acquire()
    const failed = expect(
      lockAll([lock(coordinator, 'b'), lock(coordinator, 'a')], { timeout: '1s' }),
    ).rejects.toMatchObject({ code: 'BANYAN_LOCK_TIMEOUT' })
    await clock.advance('2s')
    await failed
    expect(store.list('banyan/locks/').entries.map(({ created }) => created)).toEqual([b.token])
    await expect(lockAll([lock(coordinator, 'c'), lock(coordinator, 'c')])).rejects.toThrow('named twice')
  })

  it('are had anew if one of them is lost while another is waited for', async () => {
    const { clock, open } = processes()
    const coordinator = open()
    const b = await lock(open(), 'b').acquire()
    const both = lockAll([lock(coordinator, 'a'), lock(coordinator, 'b')])
    await clock.advance('1s')
    await forceUnlock(coordinator, 'a')
    const taken = await lock(open(), 'a').acquire()
    await clock.advance('1s')
    await b.release()
    await clock.advance('1s')
    await taken.release()
    const held = await both
    held.check()
    expect(held.byName.get('a')!.token).toBeGreaterThan(taken.token)
    await held.release()
  })

  it('are lost together', async () => {
    const { clock, open } = processes()
    const coordinator = open()
    const held = await lockAll([lock(coordinator, 'a'), lock(coordinator, 'b')])
    await clock.advance('1s')
    await forceUnlock(coordinator, 'b')
    await clock.advance(1)
    expect(held.signal.aborted).toBe(true)
    expect(() => held.check()).toThrow('the lock "b" is lost')
    await held.release()
  })
})
