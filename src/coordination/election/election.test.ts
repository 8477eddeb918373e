import { describe, expect, it } from 'vitest'
import { processes, type Processes } from '../../../test/support/coordinators.js'
import { recordingTelemetry } from '../../../test/support/telemetry.js'
import { noTelemetry } from '../../core/telemetry.js'
import { wrapDriver } from '../../testing/coordination/kit.js'
import type { CoordinatorDriver } from '../driver.js'
import { coordinationError } from '../errors.js'
import {
  elect,
  observeElection,
  readElections,
  removeElection,
  requestHandOver,
  type Election,
  type ElectionOptions,
  type ElectionState,
  type Leader,
  type Term,
} from '../index.js'

const away = (): never => {
  throw coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', 'the engine is away')
}
const unknown = (): never => {
  throw coordinationError('BANYAN_OUTCOME_UNKNOWN', 'the connection was lost')
}

/** Work that goes on until it shall end, and then takes a while. */
function working({ clock }: Processes, log: string[] = [], name = '', takes = 0) {
  return async (signal: AbortSignal): Promise<void> => {
    log.push(`${name} leads`)
    await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
    if (takes > 0) await new Promise<void>((resolve) => clock.schedule(clock.now() + takes, resolve))
    log.push(`${name} is done`)
  }
}

function kinds(election: Election): string[] {
  const seen = [election.state.kind as string]
  election.on('change', ({ kind }) => {
    if (seen.at(-1) !== kind) seen.push(kind)
  })
  return seen
}

async function candidates(
  all: Processes,
  names: readonly string[],
  options: (name: string) => ElectionOptions = () => ({}),
): Promise<Election[]> {
  const elections: Election[] = []
  for (const name of names) {
    elections.push(elect(all.open(), 'x', { holder: name, ...options(name) }))
    await all.clock.advance(1)
  }
  return elections
}

const leads = (elections: readonly Election[]): boolean[] =>
  elections.map(({ state }) => state.kind === 'leading')

describe.each(['queue', 'record', 'line'] as const)('an election by %s', (algorithm) => {
  it('has one leader at a time, and another when that one is gone', async () => {
    const all = processes()
    const log: string[] = []
    const [a, b, c] = (await candidates(all, ['a', 'b', 'c'], (name) => ({
      algorithm,
      onLead: working(all, log, name),
    }))) as [Election, Election, Election]
    await all.clock.advance('1s')
    expect(leads([a, b, c]).filter(Boolean)).toHaveLength(1)
    const tokens: number[] = []
    for (let round = 0; round < 6; round++) {
      const leading = [a, b, c].find(({ state }) => state.kind === 'leading')!
      tokens.push(leading.term!.token)
      expect((await leading.leader())?.token).toBe(tokens.at(-1))
      const resigned = leading.resign()
      await all.clock.advance('500ms')
      await resigned
      expect(leads([a, b, c]).filter(Boolean)).toHaveLength(1)
      expect(leading.state.kind).toBe('follower')
    }
    expect(tokens).toEqual([...tokens].sort((x, y) => x - y))
    expect(new Set(tokens).size).toBe(6)
    await all.clock.settle(Promise.all([a, b, c].map((each) => each.close())))
    expect(log).toHaveLength(14)
    for (let index = 0; index < log.length; index += 2)
      expect(log[index + 1]).toBe(log[index]!.replace('leads', 'is done'))
    expect(all.store.list('banyan/elections/').entries).toEqual([])
  })

  it('has no new leader before the old one has given up, if that cannot reach the engine', async () => {
    const all = processes()
    let cut = false
    const broken = (driver: CoordinatorDriver): CoordinatorDriver =>
      new Proxy(driver, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target)
          if (typeof value !== 'function') return value
          return (...given: unknown[]): unknown =>
            cut && name !== 'watch' ? away() : Reflect.apply(value, target, given)
        },
      })
    const log: string[] = []
    const a = elect(all.open({ wrap: broken }), 'x', { algorithm, onLead: working(all, log, 'a') })
    await all.clock.advance('1s')
    const b = elect(all.open(), 'x', { algorithm, onLead: working(all, log, 'b') })
    await all.clock.advance('1m')
    const { term } = a
    const states = kinds(a)
    cut = true
    await all.clock.advance('6s')
    expect(term!.held).toBe(false)
    expect(() => term!.check()).toThrow(expect.objectContaining({ code: 'BANYAN_NOT_LEADER' }))
    expect(log).toEqual(['a leads', 'a is done'])
    expect(leads([a, b])).toEqual([false, false])
    await all.clock.advance('6s')
    expect(leads([a, b])).toEqual([false, true])
    cut = false
    await all.clock.advance('1m')
    expect(leads([a, b])).toEqual([false, true])
    expect(states.slice(0, 4)).toEqual(['leading', 'stopping', 'candidate', 'follower'])
    await b.close()
    await all.clock.advance('1s')
    expect(a.term!.token).toBeGreaterThan(term!.token)
    await a.close()
  })

  it.each([
    ['done', true],
    ['not done', false],
  ])('leads though the put that won was not answered, and was %s', async (_, isDone) => {
    const all = processes()
    let lost = 0
    const coordinator = all.open({
      wrap: (driver) =>
        wrapDriver(driver, {
          put: (key, ...others) => {
            if (!key.endsWith('/leader') || ++lost > 2) return driver.put(key, ...others)
            if (isDone) void driver.put(key, ...others)
            return unknown()
          },
        }),
    })
    const election = elect(coordinator, 'x', { algorithm })
    await all.clock.advance('1s')
    expect(election.state.kind).toBe('leading')
    expect((await election.leader())?.token).toBe(election.term!.token)
    await election.close()
    expect(all.store.list('banyan/elections/').entries).toEqual([])
    await all.clock.advance('1m')
  })

  it('is not kept from others by a put that arrives when it has gone on', async () => {
    const all = processes()
    const late: (() => void)[] = []
    const coordinator = all.open({
      wrap: (driver) =>
        wrapDriver(driver, {
          put: (key, ...others) => {
            if (!key.endsWith('/leader')) return driver.put(key, ...others)
            late.push(() => void driver.put(key, ...others))
            return unknown()
          },
        }),
    })
    const stuck = elect(coordinator, 'x', { algorithm })
    await all.clock.advance('500ms')
    await all.clock.settle(stuck.close())
    for (const arrive of late) arrive()
    expect(all.store.get('banyan/elections/x/leader')).toBeDefined()
    const other = elect(all.open(), 'x', { algorithm })
    await all.clock.advance('5s')
    expect(other.state.kind).toBe('leading')
    await other.close()
  })
})

describe('an election in a line that is strict', () => {
  const LINE = 'banyan/elections/x/candidates/'
  const line = () => ({ algorithm: 'line' }) as const
  const inLine = (all: Processes): string[] =>
    all.store
      .list(LINE)
      .entries.toSorted((a, b) => a.created - b.created)
      .map(({ value }) => (value.startsWith('{') ? (JSON.parse(value) as Leader).holder : value))

  /** Somebody who stands in line as `etcdctl elect` does. */
  function foreign(all: Processes, value: string, id = '694d8c2f'): { readonly token: number; end(): void } {
    const result = all.store.put(LINE + id, value, 'absent', undefined)
    if (!result.ok) throw new Error('it is there already')
    return { token: result.created, end: () => void all.store.delete(LINE + id, 'any') }
  }

  it('is led by who came first, who stays there until its work has ended', async () => {
    const all = processes()
    const log: string[] = []
    const elections = (await candidates(all, ['a', 'b', 'c'], (name) => ({
      ...line(),
      onLead: working(all, log, name, 3000),
    }))) as [Election, Election, Election]
    const [a, b] = elections
    expect(leads(elections)).toEqual([true, false, false])
    const own = all.store.list(LINE).entries.find(({ value }) => value.includes('"a"'))!
    expect(a.term!.token).toBe(own.created)
    expect(await b.leader()).toMatchObject({ holder: 'a', token: own.created })
    const [picture] = await readElections(all.open())
    expect(picture).toMatchObject({
      leader: { token: own.created },
      candidates: [{ holder: 'b' }, { holder: 'c' }],
    })
    expect(b.state).toMatchObject({ kind: 'follower', place: 1 })

    const resigned = a.resign()
    await all.clock.advance('2s')
    expect(inLine(all)).toEqual(['a', 'b', 'c'])
    await all.clock.advance('1s')
    await resigned
    await all.clock.advance(1)
    expect(inLine(all)).toEqual(['b', 'c', 'a'])
    expect(log).toEqual(['a leads', 'a is done', 'b leads'])
    expect(b.term!.token).toBeGreaterThan(own.created)
    await all.clock.settle(Promise.all(elections.map((each) => each.close())))
    expect(inLine(all)).toEqual([])
  })

  it('is led by other programs, when it is their turn', async () => {
    const all = processes()
    const first = foreign(all, 'web-1')
    const [a] = (await candidates(all, ['a'], line)) as [Election]
    const seen: (Leader | undefined)[] = []
    const observing = (async () => {
      for await (const leader of a.observe()) if (seen.push(leader) === 5) break
    })()
    const leader = { holder: 'web-1', token: first.token, value: 'web-1' }
    expect(await a.leader()).toMatchObject(leader)
    expect(a.state).toMatchObject({ kind: 'follower', leader, place: 1 })
    expect((await readElections(all.open()))[0]).toMatchObject({ leader, candidates: [{ holder: 'a' }] })
    await expect(requestHandOver(all.open(), 'x')).rejects.toThrow('"web-1", which leads "x", is another')
    await all.clock.advance('1h')
    expect(a.state.kind).toBe('follower')

    const second = foreign(all, '\u0000\u0001', '694d8c30')
    first.end()
    await all.clock.advance(1)
    expect(a.state.kind).toBe('leading')
    expect((await readElections(all.open()))[0]!.candidates).toMatchObject([{ holder: '694d8c30' }])
    await a.handOver()
    await all.clock.advance(1)
    expect(await a.leader()).toMatchObject({ holder: '694d8c30', token: second.token })
    await observing
    expect(seen.map((each) => each?.holder)).toEqual(['web-1', undefined, 'a', undefined, '694d8c30'])
    second.end()
    await all.clock.advance(1)
    expect(a.term!.token).toBeGreaterThan(second.token)
    await a.close()
  })

  it('does not pass over who does not take it', async () => {
    const all = processes()
    all.store.put(`${LINE}stuck`, '{"holder":"stuck"}', 'any', undefined)
    const [a] = await candidates(all, ['a'], line)
    await all.clock.advance('1h')
    expect(a!.state).toMatchObject({ kind: 'candidate', place: 2 })
    all.store.delete(`${LINE}stuck`, 'any')
    await all.clock.advance(1)
    expect(a!.state.kind).toBe('leading')
    await a!.close()
  })

  it('has a leader that notices that it was taken out of the line', async () => {
    const all = processes()
    const [a, b] = (await candidates(all, ['a', 'b'], line)) as [Election, Election]
    const { term } = a
    const own = all.store.list(LINE).entries.find(({ value }) => value.includes('"a"'))!
    await all.open().delete(own.key)
    await all.clock.advance(1)
    expect(term!.signal.reason).toMatchObject({ message: expect.stringContaining('taken away') as string })
    expect(leads([a, b])).toEqual([false, true])
    expect(b.term!.token).toBeGreaterThan(term!.token)
  })

  it('is handed over to who is next, and to nobody else', async () => {
    const all = processes()
    const [a, b, c] = (await candidates(all, ['a', 'b', 'c'], line)) as [Election, Election, Election]
    await expect(a.handOver({ to: 'c' })).rejects.toThrow('"c" is not next to lead "x"')
    await expect(requestHandOver(all.open(), 'x', { to: 'c' })).rejects.toMatchObject({
      code: 'BANYAN_NO_CANDIDATE',
    })
    expect(leads([a, b, c])).toEqual([true, false, false])
    await a.handOver({ to: 'b' })
    await all.clock.advance(1)
    expect(leads([a, b, c])).toEqual([false, true, false])
    await requestHandOver(all.open(), 'x')
    await all.clock.advance(1)
    expect(leads([a, b, c])).toEqual([false, false, true])
    await all.clock.advance('1s')
    expect(all.store.get('banyan/elections/x/request')).toBeUndefined()
  })

  it('goes to its end when somebody has led with a higher token, out of line', async () => {
    const all = processes()
    const first = foreign(all, 'web-1')
    const [a] = (await candidates(all, ['a'], line)) as [Election]
    const leader = '{"holder":"stranger","id":"1"}'
    const stranger = all.store.put('banyan/elections/x/leader', leader, 'absent', undefined)
    await all.clock.advance(1)
    expect(await a.leader()).toMatchObject({ holder: 'stranger' })
    all.store.delete('banyan/elections/x/leader', 'any')
    first.end()
    await all.clock.advance(1)
    expect(a.term!.token).toBeGreaterThan((stranger as { revision: number }).revision)
    await a.close()
  })

  it.each(['priority', 'zone', 'preferZone', 'preempt', 'spread'])('refuses the option %s', (option) => {
    const values: Record<string, unknown> = { priority: 0, preempt: false, spread: '1s' }
    const options = { ...line(), [option]: values[option] ?? 'near' }
    expect(() => elect(processes().open(), 'x', options)).toThrow(
      expect.objectContaining({
        code: 'BANYAN_INVALID_OPTIONS',
        message: expect.stringContaining(`\`${option}\` is not for`) as string,
      }),
    )
  })
})

describe('an election', () => {
  it('is led in the order of coming', async () => {
    const all = processes()
    const elections = await candidates(all, ['a', 'b', 'c'])
    const order: string[] = []
    for (let round = 0; round < 4; round++) {
      const leading = elections.find(({ state }) => state.kind === 'leading')!
      order.push((await leading.leader())!.holder)
      await leading.resign()
      await all.clock.advance(1)
    }
    expect(order).toEqual(['a', 'b', 'c', 'a'])
    expect(elections.map(({ state }) => (state as { place?: number }).place)).toEqual([2, undefined, 1])
  })

  it('is handed over at once on a clean end', async () => {
    const all = processes()
    const [a, b] = (await candidates(all, ['a', 'b'])) as [Election, Election]
    const before = all.clock.now()
    await a.close()
    await all.clock.advance(0)
    expect(b.state.kind).toBe('leading')
    expect(all.clock.now()).toBe(before)
    expect(a.state).toEqual({ kind: 'closed' })
  })

  it('waits for the work of a leader that stops, and says so', async () => {
    const all = processes()
    const log: string[] = []
    const [a, b] = (await candidates(all, ['a', 'b'], (name) => ({
      onLead: working(all, log, name, 3000),
    }))) as [Election, Election]
    const { term } = a
    let resigned = false
    void a.resign().then(() => (resigned = true))
    expect(a.state).toMatchObject({ kind: 'stopping', why: 'resigned', token: term!.token })
    expect(a.term).toBeUndefined()
    expect(() => term!.guard(() => 1)).toThrow(expect.objectContaining({ code: 'BANYAN_NOT_LEADER' }))
    expect(term!.signal.reason).toMatchObject({ code: 'BANYAN_NOT_LEADER' })
    await all.clock.advance('2s')
    expect([resigned, b.state.kind]).toEqual([false, 'follower'])
    await all.clock.advance('2s')
    expect([resigned, b.state.kind]).toEqual([true, 'leading'])
  })

  it('waits also for guarded work that has begun', async () => {
    const all = processes()
    const [a, b] = (await candidates(all, ['a', 'b'])) as [Election, Election]
    const { term } = a
    let finish = (): void => undefined
    const done = term!.guard(() => new Promise<string>((resolve) => (finish = () => resolve('done'))))
    expect(term!.guard(() => 42)).toBe(42)
    void a.resign()
    await all.clock.advance('1s')
    expect(b.state.kind).toBe('follower')
    finish()
    expect(await done).toBe('done')
    await all.clock.advance(1)
    expect(b.state.kind).toBe('leading')
  })

  it.each([
    ['resign', (election: Election) => election.resign(), 'resigned'],
    ['handOver', (election: Election) => election.handOver(), 'handed over'],
    ['close', (election: Election) => election.close(), 'closed'],
  ] as const)('does not wait for itself when its own work calls %s', async (_, end, why) => {
    const all = processes()
    const [a, b] = (await candidates(all, ['a', 'b'], (name) => {
      if (name !== 'a') return {}
      return {
        onLead: async () => {
          // What leads elsewhere because this one leads is part of its work, too.
          const inner = elect(all.open(), 'inner', { once: true, onLead: () => end(a) })
          await new Promise<void>((resolve) => {
            inner.on('change', ({ kind }) => {
              if (kind === 'closed') resolve()
            })
          })
        },
      }
    })) as [Election, Election]
    await all.clock.advance('1s')
    expect(leads([a, b])).toEqual([false, true])
    const elections = await readElections(all.open())
    expect(elections.find(({ name }) => name === 'x')!.history.at(-2)).toMatchObject({ holder: 'a', why })
    const guarded = b.term!.guard(async () => {
      await Promise.resolve()
      await end(b).catch(() => undefined)
      return 'done'
    })
    expect(await all.clock.settle(guarded)).toBe('done')
    await all.clock.settle(Promise.all([a.close(), b.close()]))
  })

  it('says once that the work of a term does not end', async () => {
    const all = processes()
    const said: string[] = []
    const telemetry = { ...noTelemetry, log: (_: string, message: string) => void said.push(message) }
    let finish = (): void => undefined
    const election = elect(all.open({ telemetry }), 'x', {
      onLead: () => new Promise<void>((resolve) => (finish = resolve)),
    })
    await all.clock.advance(1)
    const { token } = election.term!
    const closed = election.close()
    await all.clock.advance('9s')
    expect(said).toEqual([])
    await all.clock.advance('30s')
    expect(said).toEqual([
      `election "x": the work of the term ${token}, closed, has not ended for 10s; nobody leads meanwhile`,
    ])
    finish()
    await all.clock.settle(closed)
  })

  it('knows by the clock that it does not lead any more, when no timer could run', async () => {
    const all = processes()
    let ahead = 0
    const { clock } = all
    const suspended = { ...clock, now: () => clock.now(), wall: () => clock.wall() + ahead }
    const election = elect(all.open({ clock: suspended }), 'x')
    await clock.advance(1)
    const { term } = election
    term!.check()
    // The monotonic clock stood still meanwhile.
    ahead = 5001
    expect(term!.held).toBe(false)
    expect(() => term!.guard(() => 1)).toThrow(/the term \d+ as leader of "x" has ended: lease lost/)
    expect(term!.signal.aborted).toBe(true)
    await clock.advance('1s')
    expect(election.term!.token).toBeGreaterThan(term!.token)
  })

  it('is led again after the work has failed, later each time, and tells the failure', async () => {
    const all = processes()
    const times: number[] = []
    const broken = new Error('broken')
    const election = elect(all.open(), 'x', {
      onLead: () => {
        times.push(all.clock.now())
        throw broken
      },
      backoff: { base: '1s', factor: 2, max: '5s' },
    })
    await all.clock.advance(1)
    expect(election.state).toEqual({ kind: 'candidate', failure: broken })
    await all.clock.advance('30s')
    const waits = times.slice(1).map((time, index) => time - times[index]!)
    for (const [index, wait] of waits.entries()) {
      const longest = Math.min(5000, 1000 * 2 ** index)
      expect(wait).toBeGreaterThanOrEqual(longest / 2)
      expect(wait).toBeLessThanOrEqual(longest + 1)
    }
    expect(waits.length).toBeGreaterThan(4)
    await election.close()
    expect(election.state.kind).toBe('closed')
  })

  it('goes to the others when the work fails or returns', async () => {
    const all = processes()
    const log: string[] = []
    const [a, b] = (await candidates(all, ['a', 'b'], (name) => ({
      onLead: name === 'a' ? () => Promise.reject(new Error('broken')) : working(all, log, name),
    }))) as [Election, Election]
    await all.clock.advance('1s')
    expect(b.state.kind).toBe('leading')
    expect(a.state).toMatchObject({
      kind: 'follower',
      leader: { holder: 'b' },
      failure: { message: 'broken' },
    })
  })

  it('is over for `once` when the work has returned', async () => {
    const all = processes()
    let runs = 0
    const election = elect(all.open(), 'x', { onLead: () => (runs += 1), once: true })
    await all.clock.advance('1m')
    expect([runs, election.state]).toEqual([1, { kind: 'closed' }])
    let others = 0
    const again = elect(all.open(), 'y', { onLead: () => (others += 1) })
    await all.clock.advance('10s')
    expect(others).toBeGreaterThan(3)
    expect(others).toBeLessThan(25)
    await again.close()
  })

  it('is led by who has the highest priority, then by the preferred zone, then by who came first', async () => {
    const all = processes()
    const elections = await candidates(all, ['first', 'b', 'high', 'zone', 'other'], (name) => ({
      ...(name === 'high' && { priority: 5 }),
      zone: name === 'zone' ? 'near' : 'far',
      preferZone: 'near',
    }))
    expect(leads(elections)).toEqual([true, false, false, false, false])
    const [picture] = await readElections(all.open())
    expect(picture!.candidates.map(({ holder }) => holder)).toEqual(['high', 'zone', 'b', 'other'])
    const order: string[] = []
    for (let round = 0; round < 5; round++) {
      const leading = elections.find(({ state }) => state.kind === 'leading')!
      order.push((await leading.leader())!.holder)
      await leading.close()
      await all.clock.advance(1)
    }
    expect(order).toEqual(['first', 'high', 'zone', 'b', 'other'])
  })

  it('is handed over to a candidate that is wanted more and asks for it', async () => {
    const all = processes()
    const log: string[] = []
    const [low] = await candidates(all, ['low', 'same'], (name) => ({
      onLead: working(all, log, name),
      ...(name === 'same' && { preempt: true }),
    }))
    await all.clock.advance('1s')
    expect(log).toEqual(['low leads'])
    const [high] = await candidates(all, ['high'], (name) => ({
      priority: 1,
      preempt: true,
      onLead: working(all, log, name),
    }))
    await all.clock.advance('1s')
    expect(log).toEqual(['low leads', 'low is done', 'high leads'])
    expect(low!.state).toMatchObject({ kind: 'follower', leader: { holder: 'high' } })
    // Whoever resigns does not take it back.
    await high!.resign()
    await all.clock.advance('1m')
    expect(log.slice(3)).toEqual(['high is done', 'same leads'])
  })

  it('does not wait for a candidate that does not take it', async () => {
    const all = processes()
    const [a] = await candidates(all, ['a'])
    // It has a place in line, and is never heard of again.
    all.store.put('banyan/elections/x/candidates/stuck', '{"holder":"stuck"}', 'any', undefined)
    const [c] = await candidates(all, ['c'])
    await a!.close()
    await all.clock.advance('900ms')
    expect(c!.state.kind).toBe('candidate')
    await all.clock.advance('200ms')
    expect(c!.state.kind).toBe('leading')
  })

  it('is handed over to whom the leader names', async () => {
    const all = processes()
    const [a, b, c] = (await candidates(all, ['a', 'b', 'c'])) as [Election, Election, Election]
    await expect(b.handOver()).rejects.toMatchObject({ code: 'BANYAN_NOT_LEADER' })
    await expect(a.handOver({ to: 'z' })).rejects.toThrow('"z" does not wait to lead "x"; who does: b, c')
    await a.handOver({ to: 'c' })
    await all.clock.advance(1)
    expect(leads([a, b, c])).toEqual([false, false, true])
    await c.handOver()
    await all.clock.advance(1)
    expect(leads([a, b, c])).toEqual([false, true, false])
    expect(all.store.get('banyan/elections/x/request')).toBeUndefined()
    await a.close()
    await c.close()
    await expect(b.handOver()).rejects.toMatchObject({ code: 'BANYAN_NO_CANDIDATE' })
  })

  it('is handed over to nobody in particular by record', async () => {
    const all = processes()
    const [a, b] = (await candidates(all, ['a', 'b'], () => ({ algorithm: 'record' }))) as [
      Election,
      Election,
    ]
    await all.clock.advance('1s')
    const [leading, other] = a.state.kind === 'leading' ? [a, 'b'] : [b, 'a']
    await expect(leading.handOver({ to: other })).rejects.toMatchObject({
      code: 'BANYAN_NO_CANDIDATE',
      message: `"${other}" cannot be named to lead "x": with \`record\` nobody stands in line, and all race`,
    })
    await Promise.all([a.close(), b.close()])
  })

  it('is handed over when an operator asks for it', async () => {
    const all = processes()
    const operator = all.open()
    await expect(requestHandOver(operator, 'x')).rejects.toMatchObject({ code: 'BANYAN_NOT_LEADER' })
    const [a, b, c] = (await candidates(all, ['a', 'b', 'c'])) as [Election, Election, Election]
    await expect(requestHandOver(operator, 'x', { to: 'z' })).rejects.toMatchObject({
      code: 'BANYAN_NO_CANDIDATE',
    })
    expect(await requestHandOver(operator, 'x', { to: 'c' })).toMatchObject({ holder: 'a' })
    await all.clock.advance(1)
    expect(leads([a, b, c])).toEqual([false, false, true])
    await requestHandOver(operator, 'x')
    await all.clock.advance(1)
    expect(leads([a, b, c])).toEqual([false, true, false])
    await all.clock.advance('10s')
    expect((await readElections(operator))[0]).toMatchObject({ request: undefined })
  })

  it.each([undefined, 'b'])('keeps no hand-over to %s that nobody is left to hear of', async (to) => {
    const { store, clock, open } = processes()
    for (const [holder, key] of [
      ['a', 'leader'],
      ['b', 'candidates/1'],
    ]) {
      const { id } = store.grant(10_000)
      store.put(`banyan/elections/x/${key}`, JSON.stringify({ holder }), 'absent', id)
    }
    await requestHandOver(open(), 'x', to === undefined ? {} : { to })
    expect(store.get('banyan/elections/x/request')).toBeDefined()
    await clock.advance('11s')
    expect(store.list('banyan/elections/').entries).toEqual([])
  })

  it('has a leader that notices that its key was deleted', async () => {
    const all = processes()
    const [a, b] = (await candidates(all, ['a', 'b'])) as [Election, Election]
    const { term } = a
    await all.open().delete('banyan/elections/x/leader')
    await all.clock.advance(1)
    expect(term!.signal.reason).toMatchObject({ message: expect.stringContaining('taken away') as string })
    expect(b.state.kind).toBe('leading')
    expect(a.state.kind).toBe('follower')
  })

  it('says its place in line also if it sees that before the engine answers', async () => {
    const all = processes()
    const slow = (driver: CoordinatorDriver): CoordinatorDriver =>
      wrapDriver(driver, {
        put: async (...given) => {
          const result = await driver.put(...given)
          await new Promise<void>((resolve) => all.clock.schedule(all.clock.now() + 5, resolve))
          return result
        },
      })
    elect(all.open(), 'x')
    await all.clock.advance(1)
    const late = elect(all.open({ wrap: slow }), 'x')
    await all.clock.advance('1s')
    expect(late.state).toMatchObject({ kind: 'follower', place: 1 })
  })

  it('is a candidate again that somebody has taken out of the line', async () => {
    const all = processes()
    const [, b] = await candidates(all, ['a', 'b', 'c'])
    expect(b!.state).toMatchObject({ place: 1 })
    const { key } = all.store
      .list('banyan/elections/x/candidates/')
      .entries.find(({ value }) => value.includes('"b"'))!
    await all.open().delete(key)
    await all.clock.advance(1)
    expect(b!.state).toMatchObject({ kind: 'follower', place: 2 })
  })

  it('is seen by those who take no part', async () => {
    const all = processes()
    const seen: (Leader | undefined)[] = []
    const stop = new AbortController()
    const observing = (async () => {
      for await (const leader of observeElection(all.open(), 'x', { signal: stop.signal })) seen.push(leader)
    })()
    const [a] = await candidates(all, ['a', 'b'], (name) => ({ value: { address: `http://${name}` } }))
    await a!.close()
    await all.clock.advance(1)
    stop.abort()
    await observing
    expect(seen.map((leader) => leader?.holder)).toEqual([undefined, 'a', undefined, 'b'])
    expect(seen[1]).toMatchObject({ value: { address: 'http://a' } })
    expect(seen[3]!.token).toBeGreaterThan(seen[1]!.token)
    const states: ElectionState[] = []
    for await (const leader of a!.observe()) {
      expect(leader?.holder).toBe('b')
      break
    }
    expect(states).toEqual([])
  })

  it('keeps its last leaders, and why they ended', async () => {
    const all = processes()
    let cut = false
    const dying = elect(
      all.open({
        wrap: (driver) =>
          wrapDriver(driver, {
            renew: (leases, within) => (cut ? away() : driver.renew(leases, within)),
            get: (key) => (cut ? away() : driver.get(key)),
          }),
      }),
      'x',
      { holder: 'dying' },
    )
    await all.clock.advance(1)
    const [b] = await candidates(all, ['b', 'c'])
    await all.clock.advance('1m')
    cut = true
    await all.clock.advance('20s')
    await b!.resign()
    await all.clock.advance(1)
    cut = false
    const [picture] = await readElections(all.open())
    expect(picture!.history).toMatchObject([
      { holder: 'dying', why: 'gone' },
      { holder: 'b', why: 'resigned' },
      { holder: 'c' },
    ])
    expect(picture!.history[2]!.until).toBeUndefined()
    const [first, second] = picture!.history
    expect(first!.until).toBe(second!.since)
    expect(picture!.leader).toMatchObject({ holder: 'c', token: picture!.history[2]!.token })
    await dying.close()
    for (let round = 0; round < 30; round++) {
      elect(all.open(), 'many', { onLead: () => undefined, once: true, holder: `${round}` })
      await all.clock.advance('1s')
    }
    const many = (await readElections(all.open())).find(({ name }) => name === 'many')!
    expect(many.history.map(({ holder }) => holder)).toEqual(
      Array.from({ length: 20 }, (_, index) => `${index + 10}`),
    )
    expect(many).toMatchObject({ leader: undefined, candidates: [] })
  })

  it('spreads many over processes', async () => {
    const all = processes()
    const names = Array.from({ length: 12 }, (_, index) => `job-${index}`)
    const nodes = ['a', 'b', 'c'].map((holder) => {
      const coordinator = all.open()
      return names.map((name) => elect(coordinator, name, { holder, spread: '100ms' }))
    })
    await all.clock.advance('10s')
    const count = (): number[] => nodes.map((node) => leads(node).filter(Boolean).length)
    expect(count()).toEqual([4, 4, 4])
    await Promise.all(nodes[0]!.map((each) => each.close()))
    await all.clock.advance('10s')
    expect(count()).toEqual([0, 6, 6])
  })

  it('counts what it leads and why that has ended', async () => {
    const all = processes()
    const { telemetry, counts } = recordingTelemetry()
    const election = elect(all.open({ telemetry }), 'x')
    await all.clock.advance(1)
    await election.resign()
    await all.clock.advance(1)
    await election.close()
    expect(Object.fromEntries(counts)).toEqual({
      'banyan.election.vacancy{banyan.election=x}': 2,
      'banyan.election.terms{banyan.election=x,banyan.why=resigned}': 1,
      'banyan.election.terms{banyan.election=x,banyan.why=closed}': 1,
    })
  })

  it('waits for the engine as long as it takes', async () => {
    const all = processes()
    let isAway = true
    const coordinator = all.open({
      wrap: (driver) =>
        wrapDriver(driver, {
          grant: (ttl) => (isAway ? away() : driver.grant(ttl)),
          list: (prefix) => (isAway ? away() : driver.list(prefix)),
        }),
    })
    const election = elect(coordinator, 'x')
    await all.clock.advance('1h')
    expect(election.state).toMatchObject({
      kind: 'candidate',
      failure: { code: 'BANYAN_COORDINATOR_UNAVAILABLE' },
    })
    isAway = false
    await all.clock.advance('5s')
    expect(election.state.kind).toBe('leading')
    await election.close()
  })

  it('ends with its coordinator', async () => {
    const all = processes()
    const coordinator = all.open()
    let term: Term | undefined
    const election = elect(coordinator, 'x', {
      onLead: async (signal, _, own) => {
        term = own
        await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()))
      },
    })
    await all.clock.advance(1)
    await coordinator.close()
    await all.clock.advance('1s')
    expect(term!.held).toBe(false)
    expect(election.state).toMatchObject({ kind: 'closed', failure: { code: 'BANYAN_COORDINATOR_CLOSED' } })
    await election.close()
  })

  it('that is closed at any moment leaves nothing behind', async () => {
    for (let moment = 0; moment < 12; moment++) {
      const all = processes()
      const slow = (driver: CoordinatorDriver): CoordinatorDriver =>
        wrapDriver(driver, {
          put: async (...given) => {
            await new Promise<void>((resolve) => all.clock.schedule(all.clock.now() + 2, resolve))
            const result = driver.put(...given)
            await new Promise<void>((resolve) => all.clock.schedule(all.clock.now() + 2, resolve))
            return result
          },
        })
      const log: string[] = []
      const election = elect(all.open({ wrap: slow }), 'x', { onLead: working(all, log, 'a') })
      await all.clock.advance(moment)
      await all.clock.settle(election.close())
      await all.clock.advance('1s')
      expect(all.store.list('banyan/elections/').entries).toEqual([])
      expect(log.length % 2).toBe(0)
    }
  })

  it('refuses options that it does not know, and values that cannot be kept', () => {
    const coordinator = processes().open()
    expect(() => elect(coordinator, 'x', { prioritty: 1 } as object)).toThrow('did you mean `priority`')
    for (const priority of [Infinity, -Infinity, NaN])
      expect(() => elect(coordinator, 'x', { priority })).toThrow(/priority must be a (finite )?number/)
    for (const given of [{ priority: 1 }, { zone: 'a' }, { preferZone: 'a' }, { preempt: true }])
      expect(() => elect(coordinator, 'x', { algorithm: 'record', ...given })).toThrow(
        'is not for the algorithm `record`, in which nobody stands in line',
      )
    expect(() => elect(coordinator, '')).toThrow(expect.objectContaining({ code: 'BANYAN_INVALID_KEY' }))
    expect(() => elect(coordinator, 'x', { value: 'x'.repeat(300_000) })).toThrow(
      expect.objectContaining({ code: 'BANYAN_VALUE_TOO_LARGE' }),
    )
    const circular: Record<string, unknown> = {}
    circular['self'] = circular
    for (const [value, problem] of [
      [circular, 'circular'],
      [1n, 'got 1n'],
      [{ a: [new Map([[1, 2]])] }, 'it has a Map, of which JSON keeps nothing'],
      [new Set(), 'it has a Set'],
      [{ port: NaN }, 'it has NaN'],
      [[() => 1], 'it has a function'],
    ] as const)
      expect(() => elect(coordinator, 'x', { value })).toThrow(
        expect.objectContaining({
          code: 'BANYAN_INVALID_OPTIONS',
          message: expect.stringContaining(problem) as string,
        }),
      )
  })

  it.each([[null], [0], [''], [false], [[]], [{ at: new Date(0), port: undefined }]])(
    'tells others anything that JSON can hold: %j',
    async (value) => {
      const all = processes()
      const [a] = await candidates(all, ['a'], () => ({ value }))
      const [election] = await readElections(all.open())
      expect(election!.leader).toHaveProperty('value', JSON.parse(JSON.stringify(value)))
      await a!.close()
    },
  )

  it('is known for its past when it has ended, until it is removed', async () => {
    const all = processes()
    const operator = all.open()
    const [a] = await candidates(all, ['a'])
    await removeElection(operator, 'x')
    expect(await readElections(operator)).toMatchObject([{ name: 'x', leader: { holder: 'a' }, history: [] }])
    await a!.close()
    const [b] = await candidates(all, ['b'])
    await b!.close()
    expect(await readElections(operator)).toMatchObject([{ name: 'x', history: [{ holder: 'b' }] }])
    await removeElection(operator, 'x')
    expect(await readElections(operator)).toEqual([])
    expect((await operator.list('')).entries).toEqual([])
  })
})
