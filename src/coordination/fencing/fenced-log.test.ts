import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { times, SEED } from '../../../test/support/effort.js'
import { closeLogs, collect, newLog } from '../../../test/support/logs.js'
import type { EventLog, RecordedEvent } from '../../events/log.js'
import { coordinationError } from '../errors.js'
import { fenced, readFences, resetFence, StaleTokenError } from '../index.js'

afterEach(closeLogs)

const said = (data: unknown, stream = 'counter-1'): Parameters<EventLog['append']>[0] => ({
  streams: [{ stream, events: [{ type: 'Said', data }] }],
})
const dataOf = async (log: EventLog): Promise<unknown[]> =>
  (await collect(log.read({ category: 'counter' }))).map(({ data }) => data)
const stale = (token: number, seen: number): object => ({
  code: 'BANYAN_STALE_TOKEN',
  fence: 'orders',
  token,
  seen,
})

describe.each(['memory', 'sqlite'])('a fenced log on %s', (driver) => {
  it('takes what comes with the highest token, and nothing of those before', async () => {
    const log = await newLog(driver)
    const old = fenced(log, { name: 'orders', token: 5 })
    await old.append(said('old'))
    const young = fenced(log, { name: 'orders', token: 7 })
    await young.append(said('young'))
    await expect(old.append(said('late'))).rejects.toMatchObject(stale(5, 7))
    await expect(old.append(said('late'))).rejects.toBeInstanceOf(StaleTokenError)
    await young.append(said('young still'))
    expect(await dataOf(log)).toEqual(['old', 'young', 'young still'])
    expect(await readFences(log)).toMatchObject([{ name: 'orders', token: 7 }])
  })

  it('lets no earlier holder change what was read through it', async () => {
    const log = await newLog(driver)
    const old = fenced(log, { name: 'orders', token: 5 })
    await old.append(said(1))
    const young = fenced(log, { name: 'orders', token: 7 })
    expect(await dataOf(young)).toEqual([1])
    await expect(old.append(said('late'))).rejects.toMatchObject(stale(5, 7))
    // Nor does who comes late raise it.
    await expect(collect(fenced(log, { name: 'orders', token: 6 }).read())).rejects.toMatchObject(stale(6, 7))
  })

  it('says that a token is stale, and not that streams conflict', async () => {
    const log = await newLog(driver)
    const old = fenced(log, { name: 'orders', token: 5 })
    const expecting = (expected: number | 'none'): Parameters<EventLog['append']>[0] => ({
      streams: [{ stream: 'counter-1', expected, events: [{ type: 'Said', data: 'x' }] }],
    })
    await old.append(expecting('none'))
    expect(await old.append(expecting('none'))).toEqual({
      ok: false,
      conflicts: [{ stream: 'counter-1', expected: 'none', actual: 0 }],
    })
    await fenced(log, { name: 'orders', token: 7 }).append(expecting(0))
    await expect(old.append(expecting(0))).rejects.toMatchObject(stale(5, 7))
  })

  it('gives the first result to who repeats a commit, and keeps the checks of a commit', async () => {
    const log = await newLog(driver)
    const holder = fenced(log, { name: 'orders', token: 5 })
    const first = await holder.append({ id: 'a', ...said(1) })
    expect(await holder.append({ id: 'a', ...said(1) })).toEqual({ ...first, duplicate: true })
    const unmet = { ...said(2), checks: [{ stream: 'other', expected: 'exists' as const }] }
    expect(await holder.append(unmet)).toMatchObject({ ok: false, conflicts: [{ stream: 'other' }] })
    await fenced(log, { name: 'orders', token: 6 }).raise()
    // The log looks at the id first; nothing is appended.
    expect(await holder.append({ id: 'a', ...said(1) })).toEqual({ ...first, duplicate: true })
    expect(await dataOf(log)).toEqual([1])
  })

  it('says that something else has appended to its fence, and lets nobody pass until an operator has looked', async () => {
    const log = await newLog(driver)
    const holder = fenced(log, { name: 'orders', token: 5 })
    await holder.append(said(1))
    for (const data of [{ token: 'x' }, null, {}]) {
      await log.append({ streams: [{ stream: '$fence-orders', events: [{ type: 'Note', data }] }] })
      const check = (): void => undefined
      for (const token of [6, { token: 6, check }])
        await expect(fenced(log, { name: 'orders', token }).append(said(2))).rejects.toMatchObject({
          code: 'BANYAN_FENCE_UNKNOWN',
          message: expect.stringMatching(
            /last event of \$fence-orders is a "Note" .* resetFence\(/,
          ) as string,
        })
    }
    expect(await readFences(log)).toMatchObject([{ name: 'orders', token: undefined }])
    expect(await resetFence(log, 'orders')).toBe(true)
    await fenced(log, { name: 'orders', token: 6 }).append(said(2))
    expect(await dataOf(log)).toEqual([1, 2])
  })

  it('stays safe when retention has removed what the fence is made of', async () => {
    const log = await newLog(driver)
    const running = fenced(log, { name: 'orders', token: 5 })
    await running.append(said(1))
    await log.truncate({ all: true, upTo: await log.head() })
    await running.append(said(2))
    await expect(fenced(log, { name: 'orders', token: 4 }).append(said('?'))).rejects.toMatchObject({
      code: 'BANYAN_FENCE_UNKNOWN',
    })
    const over = (): never => {
      throw coordinationError('BANYAN_LEASE_LOST', 'over')
    }
    await expect(
      fenced(log, { name: 'orders', token: { token: 4, check: over } }).append(said('?')),
    ).rejects.toMatchObject({ code: 'BANYAN_LEASE_LOST' })
    const next = fenced(log, { name: 'orders', token: { token: 6, check: () => undefined } })
    await next.append(said(3))
    await expect(running.append(said('late'))).rejects.toMatchObject(stale(5, 6))
    expect(await dataOf(log)).toEqual([2, 3])
  })

  it('can be reset by an operator, whose new coordinator counts from the start', async () => {
    const log = await newLog(driver)
    await fenced(log, { name: 'orders', token: 1000 }).raise()
    const fresh = fenced(log, { name: 'orders', token: 3 })
    await expect(fresh.raise()).rejects.toMatchObject(stale(3, 1000))
    expect(await resetFence(log, 'orders')).toBe(true)
    await fresh.append(said(1))
    expect(await resetFence(log, 'none')).toBe(false)
    expect(await dataOf(log)).toEqual([1])
  })
})

describe('a fenced log', () => {
  it('asks the holder first, whose refusal costs the log nothing', async () => {
    const log = await newLog('memory')
    let over = false
    const holder = fenced(log, {
      name: 'orders',
      token: {
        token: 5,
        check: () => {
          if (over) throw coordinationError('BANYAN_LEASE_LOST', 'over')
        },
      },
    })
    await holder.append(said(1))
    over = true
    const head = await log.head()
    await expect(holder.append(said(2))).rejects.toMatchObject({ code: 'BANYAN_LEASE_LOST' })
    await expect(holder.truncate({ all: true, upTo: head })).rejects.toMatchObject({
      code: 'BANYAN_LEASE_LOST',
    })
    expect(await log.head()).toBe(head)
  })

  it('keeps fences of different names apart, and can stand on another one', async () => {
    const log = await newLog('memory')
    await fenced(log, { name: 'other', token: 9 }).append(said(1))
    const both = fenced(fenced(log, { name: 'orders', token: 5 }), { name: 'other', token: 9 })
    await both.append(said(2))
    await fenced(log, { name: 'orders', token: 6 }).raise()
    await expect(both.append(said('late'))).rejects.toMatchObject(stale(5, 6))
    expect(await dataOf(log)).toEqual([1, 2])
  })

  it('keeps appends in their order, also while the fence is raised', async () => {
    const log = await newLog('memory')
    const holder = fenced(log, { name: 'orders', token: 5 })
    await Promise.all(Array.from({ length: 20 }, (_, number) => holder.append(said(number))))
    expect(await dataOf(log)).toEqual(Array.from({ length: 20 }, (_, number) => number))
  })

  it('leaves the log open when it is closed, and takes nothing more itself', async () => {
    const log = await newLog('memory')
    const holder = fenced(log, { name: 'orders', token: 5 })
    const last = holder.append(said(1))
    await holder.close()
    expect(await last).toMatchObject({ ok: true })
    await expect(holder.append(said(2))).rejects.toMatchObject({ code: 'BANYAN_LOG_CLOSED' })
    expect(await log.append(said(3))).toMatchObject({ ok: true })
  })

  it.each([
    [undefined, /a fence needs/],
    [{ name: '', token: 1 }, /the name of a fence/],
    [{ name: 'x'.repeat(256), token: 1 }, /1 to 255 bytes/],
    [{ name: 'orders', token: 0 }, /whole number of at least 1/],
    [{ name: 'orders', token: 1.5 }, /whole number of at least 1/],
    [{ name: 'orders', token: {} }, /got nothing/],
    [{ name: 'orders', token: 'a' }, /got "a"/],
  ])('refuses what is no claim: %j', async (claim, message) => {
    const log = await newLog('memory')
    const refused = expect(() => fenced(log, claim as never))
    refused.toThrow(message)
  })

  it('accepts tokens that never fall, however holders are interleaved', async () => {
    const plan = fc.array(
      fc.record({ token: fc.integer({ min: 1, max: 4 }), writes: fc.integer({ min: 1, max: 3 }) }),
      {
        minLength: 2,
        maxLength: 5,
      },
    )
    await fc.assert(
      fc.asyncProperty(fc.scheduler(), plan, async (scheduler, holders) => {
        const log = await newLog('memory')
        const delayed = delaying(log, (name) => scheduler.schedule(Promise.resolve(), name))
        const outcomes = holders.map(async ({ token, writes }) => {
          const mine = fenced(delayed, { name: 'orders', token })
          const results: string[] = []
          for (let number = 0; number < writes; number++)
            results.push(
              await mine.append(said(token)).then(
                () => 'accepted',
                (error: unknown) => (error as { code: string }).code,
              ),
            )
          return results
        })
        const results = await scheduler.waitFor(Promise.all(outcomes))
        const accepted = (await collect(log.read({ category: 'counter' }))) as RecordedEvent[]
        const tokens = accepted.map(({ data }) => data as number)
        expect(tokens).toEqual([...tokens].sort((a, b) => a - b))
        expect(results.flat().filter((result) => result === 'accepted')).toHaveLength(tokens.length)
        expect(new Set(results.flat())).toEqual(
          new Set(results.flat().filter((result) => ['accepted', 'BANYAN_STALE_TOKEN'].includes(result))),
        )
        const highest = Math.max(...holders.map(({ token }) => token))
        const ofHighest = results.filter((_, index) => holders[index]!.token === highest).flat()
        expect(new Set(ofHighest)).toEqual(new Set(['accepted']))
        await log.close()
      }),
      { seed: SEED, numRuns: times(60) },
    )
  })
})

/** A log whose calls and answers take as long as somebody else decides. */
function delaying(log: EventLog, pause: (name: string) => Promise<void>): EventLog {
  return new Proxy(log, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (name === 'append' || name === 'revision')
        return async (...given: unknown[]): Promise<unknown> => {
          await pause(`${name} is asked`)
          const answer: unknown = await Reflect.apply(value as () => unknown, target, given)
          await pause(`${name} is answered`)
          return answer
        }
      if (name === 'read')
        return async function* (...given: unknown[]): AsyncGenerator {
          await pause('read is asked')
          const found = await collect(
            Reflect.apply(value as EventLog['read'], target, given) as AsyncIterable<unknown>,
          )
          await pause('read is answered')
          yield* found
        }
      return value
    },
  })
}
