import { afterEach, describe, expect, test } from 'vitest'
import { openCoordinator } from '../../src/coordination/index.js'
import { systemClock } from '../../src/core/index.js'
import { systemRuntime } from '../../src/core/runtime.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { eventError } from '../../src/events/errors.js'
import {
  fenceLeader,
  followLog,
  leaderOf,
  leadLog,
  openLog,
  promoteFollower,
  reinstateLeader,
  tokenOf,
  type EventLog,
  type Follower,
  type FollowerOptions,
  type Leader,
} from '../../src/events/index.js'
import { closeLogs, collect, newDirectory, newLog } from '../support/logs.js'

const quiet = { ...systemRuntime, telemetry: noTelemetry }
const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  await closeLogs()
})

/** A leader that can be cut off. */
function cuttable(log: EventLog): Leader & { cut: boolean } {
  const leader = leaderOf(log, systemClock, 'the leader')
  const cuttable = {
    name: leader.name,
    cut: false,
    pull: ask('pull'),
    read: ask('read'),
    state: ask('state'),
    giveWay: ask('giveWay'),
  }
  function ask<Name extends 'pull' | 'read' | 'state' | 'giveWay'>(name: Name): Leader[Name] {
    return (async (...args: unknown[]) => {
      const mustBeThere = (): void => {
        if (cuttable.cut) throw eventError('BANYAN_LOG_UNAVAILABLE', 'the leader cannot be reached')
      }
      mustBeThere()
      const answer = await (leader[name] as (...given: unknown[]) => Promise<unknown>)(...args)
      mustBeThere()
      return answer
    }) as Leader[Name]
  }
  return cuttable
}

async function follow(leader: Leader, to = 'memory:', options: FollowerOptions = {}): Promise<Follower> {
  const follower = await followLog(leader, to, {
    runtime: quiet,
    heartbeat: '20ms',
    fallback: 'none',
    ...options,
  })
  open.push(() => follower.close())
  return follower
}

async function put(log: Pick<EventLog, 'append'>, stream: string, count = 1): Promise<string> {
  let position = ''
  for (let number = 0; number < count; number++) {
    const result = await log.append({ streams: [{ stream, events: [{ type: 'A', data: { number } }] }] })
    if (!result.ok) throw new Error('not appended')
    position = result.position
  }
  return position
}

const state = (follower: Follower): Promise<unknown> =>
  expect.poll(() => follower.status().state, { timeout: 10_000, interval: 5 }).toBe('stopped')

describe.each(['memory', 'sqlite'])('a follower in %s', (driver) => {
  const place = (): string => (driver === 'memory' ? 'memory:' : `sqlite:${newDirectory()}`)

  test('that is promoted with its leader loses nothing, and the leader takes no more, also after a restart', async () => {
    const path = place()
    const log = await openLog(path)
    const leader = cuttable(log)
    const follower = await follow(leader, place())
    const other = await follow(leader)
    await put(log, 'a', 50)
    const promotion = await promoteFollower(follower)
    expect(promotion).toEqual({ kind: 'planned', epoch: 2, position: await log.head() })
    await expect(put(log, 'a')).rejects.toMatchObject({ code: 'BANYAN_LOG_FENCED' })
    await put(follower.log, 'a', 10)
    expect(await follower.log.revision('a')).toBe(59)

    const successor = leaderOf(follower.log, systemClock)
    await other.close()
    await log.close()
    if (driver === 'memory') return
    const again = await openLog(path)
    await expect(put(again, 'a')).rejects.toMatchObject({ code: 'BANYAN_LOG_FENCED' })
    await again.close()
    // The old leader follows the new one.
    const old = await follow(successor, path)
    await old.fresh({ after: await tokenOf(follower.log), wait: '5s' })
    expect(await collect(old.log.read())).toEqual(await collect(follower.log.read()))
  })

  test('whose leader is gone is promoted by force only, and what is lost is what was told', async () => {
    const log = await newLog(driver)
    const leader = cuttable(log)
    const follower = await follow(leader, place())
    const shipped = await put(log, 'a', 20)
    await follower.fresh({ after: shipped, wait: '5s' })
    leader.cut = true
    const lost = await tokenOf(log, await put(log, 'a', 5))
    await expect(promoteFollower(follower)).rejects.toMatchObject({
      code: 'BANYAN_PROMOTION_REFUSED',
      message: expect.stringMatching(/cannot be reached.* last heard of.* force/) as string,
    })
    await expect(put(follower.log, 'a')).rejects.toMatchObject({ code: 'BANYAN_READ_ONLY' })
    const promotion = await promoteFollower(follower, { force: true })
    expect(promotion).toMatchObject({ kind: 'emergency', epoch: 2, position: shipped })
    expect(promotion.left).toMatchObject({ head: shipped, atLeast: 0 })
    await put(follower.log, 'a', 10)
    // A token from before the fail-over, of what was lost, is not taken for what came in its place.
    const reader = await follow(leaderOf(follower.log, systemClock))
    await reader.fresh({ after: await tokenOf(follower.log), wait: '5s' })
    await expect(reader.fresh({ after: lost })).rejects.toMatchObject({ code: 'BANYAN_POSITION_AHEAD' })
    await reader.fresh({ after: { position: shipped, epoch: 1 } })

    // Nobody has told the old leader yet, and it goes on.
    await put(log, 'a')
    const fenced = fenceLeader(leader, follower.log, { runtime: quiet })
    leader.cut = false
    await fenced
    await expect(put(log, 'a')).rejects.toMatchObject({ code: 'BANYAN_LOG_FENCED' })
    // It has what its successor never had.
    const directory = place()
    if (driver === 'sqlite') await log.backup(`${directory.slice('sqlite:'.length)}/events.db`)
    if (driver === 'memory') return
    const old = await follow(leaderOf(follower.log, systemClock), directory)
    await state(old)
    expect(old.status().problem?.code).toBe('BANYAN_FOLLOWER_DIVERGED')
  })
})

test('an old leader learns of the next epoch from a follower that asks it', async () => {
  const log = await newLog('memory')
  await put(log, 'a', 3)
  const leader = cuttable(log)
  const path = `sqlite:${newDirectory()}`
  const follower = await follow(leader, path)
  await follower.fresh({ after: await log.head(), wait: '5s' })
  leader.cut = true
  await promoteFollower(follower, { force: true })
  const second = await follow(
    leaderOf(follower.log, systemClock, 'the new leader'),
    `sqlite:${newDirectory()}`,
  )
  await second.fresh({ after: await tokenOf(follower.log), wait: '5s' })
  leader.cut = false
  const { epochs } = await leaderOf(follower.log, systemClock).state(new AbortController().signal)
  const request = { log: second.status().log, epochs, after: '0', truncation: 0, limit: 1, wait: 0 }
  await expect(leader.pull(request, new AbortController().signal)).rejects.toMatchObject({
    code: 'BANYAN_LOG_FENCED',
  })
  await expect(put(log, 'a')).rejects.toMatchObject({ code: 'BANYAN_LOG_FENCED' })
})

test('a handover that was begun can be taken back', async () => {
  const log = await newLog('memory')
  await put(log, 'a')
  const leader = leaderOf(log, systemClock)
  const { log: id } = await leader.state(new AbortController().signal)
  await leader.giveWay({ log: id, epoch: 1, to: 2, id: 'x' }, new AbortController().signal)
  await expect(put(log, 'a')).rejects.toMatchObject({ code: 'BANYAN_LOG_FENCED' })
  expect(await reinstateLeader(log)).toEqual({ epoch: 3 })
  await put(log, 'a')
  await expect(reinstateLeader(log)).rejects.toMatchObject({ code: 'BANYAN_PROMOTION_REFUSED' })
})

describe('what a follower finds', () => {
  test('a leader of another log', async () => {
    const log = await newLog('memory')
    await put(log, 'a')
    const path = `sqlite:${newDirectory()}`
    const follower = await follow(leaderOf(log, systemClock), path)
    await follower.fresh({ after: await log.head(), wait: '5s' })
    await follower.close()
    const foreign = await newLog('memory')
    await put(foreign, 'a', 3)
    const again = await follow(leaderOf(foreign, systemClock, 'another'), path)
    await state(again)
    expect(again.status().problem?.code).toBe('BANYAN_FOLLOWER_FOREIGN')
    expect(await collect(again.log.read())).toEqual(await collect(log.read()))
  })

  test('a leader that was restored from a backup, and one that went on since', async () => {
    const log = await newLog('sqlite')
    await put(log, 'a', 3)
    const backup = newDirectory()
    await log.backup(`${backup}/events.db`)
    await put(log, 'a', 3)
    const path = `sqlite:${newDirectory()}`
    const follower = await follow(leaderOf(log, systemClock), path)
    await follower.fresh({ after: await log.head(), wait: '5s' })
    await follower.close()
    const restored = await openLog(`sqlite:${backup}`)
    open.push(() => restored.close())
    const ahead = await follow(leaderOf(restored, systemClock), path)
    await state(ahead)
    expect(ahead.status().problem?.code).toBe('BANYAN_FOLLOWER_AHEAD')
    await ahead.close()
    await put(restored, 'a', 5)
    const diverged = await follow(leaderOf(restored, systemClock), path)
    await state(diverged)
    expect(diverged.status().problem?.code).toBe('BANYAN_FOLLOWER_DIVERGED')
  })

  test('a gap', async () => {
    const log = await newLog('memory')
    await put(log, 'a', 3)
    await log.truncate({ all: true, upTo: await log.head() })
    const follower = await follow(leaderOf(log, systemClock))
    await state(follower)
    expect(follower.status().problem?.code).toBe('BANYAN_FOLLOWER_GAP')
    await expect(promoteFollower(follower)).rejects.toMatchObject({ code: 'BANYAN_PROMOTION_REFUSED' })
    await put(log, 'a')
  })

  test('a gap, after which it starts anew from a backup', async () => {
    const log = await newLog('sqlite')
    await log.append({ id: 'first', streams: [{ stream: 'b', events: [{ type: 'A' }] }] })
    await log.truncate({ stream: 'b', beforeRevision: 1 })
    await put(log, 'a', 30)
    await log.truncate({ stream: 'a', beforeRevision: 10 })
    const fresh = await follow(leaderOf(log, systemClock), `sqlite:${newDirectory()}`)
    await state(fresh)
    expect(fresh.status().problem?.code).toBe('BANYAN_FOLLOWER_GAP')
    const directory = newDirectory()
    await log.backup(`${directory}/events.db`)
    await put(log, 'a', 5)
    await expect(follow(leaderOf(log, systemClock), `sqlite:${directory}`)).rejects.toMatchObject({
      code: 'BANYAN_FOLLOWER_DIVERGED',
    })
    const follower = await follow(leaderOf(log, systemClock), `sqlite:${directory}`, { fromBackup: true })
    await follower.fresh({ after: await log.head(), wait: '5s' })
    expect(await collect(follower.log.read())).toEqual(await collect(log.read()))
    await promoteFollower(follower)
    // The ids of what was removed before are known to it, too.
    const events = [{ type: 'A' }]
    expect(await follower.log.append({ id: 'first', streams: [{ stream: 'b', events }] })).toMatchObject({
      duplicate: true,
    })
  })

  test('that its leader is itself', async () => {
    const path = `sqlite:${newDirectory()}`
    const log = await openLog(path)
    open.push(() => log.close())
    await put(log, 'a')
    await expect(follow(leaderOf(log, systemClock), path, { fromBackup: true })).rejects.toMatchObject({
      code: 'BANYAN_FOLLOWER_DIVERGED',
    })
    await put(log, 'a')
  })

  test('that it has a log of its own', async () => {
    const log = await newLog('memory')
    const path = `sqlite:${newDirectory()}`
    const own = await openLog(path)
    await put(own, 'a')
    await expect(follow(leaderOf(log, systemClock), path)).rejects.toMatchObject({
      code: 'BANYAN_FOLLOWER_DIVERGED',
    })
    await put(own, 'a')
    await own.close()
  })
})

describe('a read', () => {
  test('waits for its token, else goes to the leader, or is refused', async () => {
    const log = await newLog('memory')
    const leader = cuttable(log)
    const follower = await follow(leader, 'memory:', { fallback: 'leader' })
    const position = await put(log, 'a', 3)
    const at = async (options: object): Promise<number> =>
      (await collect(follower.read({ stream: 'a' }, options))).length
    expect(await at({ after: position, wait: '5s' })).toBe(3)
    expect(follower.reads).toEqual({ here: 1, leader: 0 })
    const stalled = await follow({ ...leader, name: 'x', pull: () => new Promise(() => undefined) })
    open.pop()
    await expect(collect(stalled.read({}, { after: position, wait: 1 }))).rejects.toMatchObject({
      code: 'BANYAN_FOLLOWER_BEHIND',
    })
    expect(await collect(stalled.read({}, { after: position, wait: 1, fallback: 'leader' }))).toEqual(
      await collect(log.read()),
    )
    expect(stalled.reads).toEqual({ here: 0, leader: 1 })
    await expect(collect(stalled.read({}, { maxStaleness: '1m', wait: 1 }))).rejects.toMatchObject({
      code: 'BANYAN_FOLLOWER_BEHIND',
    })
    expect(await collect(stalled.read())).toEqual([])
  })

  test('of a copy whose leader is away is served, and says how old it may be', async () => {
    const log = await newLog('memory')
    const leader = cuttable(log)
    const follower = await follow(leader)
    const position = await put(log, 'a', 3)
    await follower.fresh({ after: position, maxStaleness: '1m', wait: '5s' })
    leader.cut = true
    await expect.poll(() => follower.status().state, { timeout: 10_000, interval: 5 }).toBe('away')
    expect(await collect(follower.read())).toHaveLength(3)
    const { staleness, problem } = follower.status()
    expect(staleness).toBeGreaterThan(0)
    expect(problem?.code).toBe('BANYAN_LOG_UNAVAILABLE')
    await expect(follower.fresh({ maxStaleness: 0, wait: 1 })).rejects.toMatchObject({
      code: 'BANYAN_FOLLOWER_BEHIND',
    })
    leader.cut = false
    await follower.fresh({ after: await put(log, 'a'), wait: '5s' })
    expect(follower.status().state).toBe('following')
  })
})

describe('with a coordinator', () => {
  test('no two leaders take appends: the old one stops before the next begins', async () => {
    const coordinator = await openCoordinator('memory:')
    open.push(() => coordinator.close())
    const log = await newLog('memory')
    const leader = cuttable(log)
    const lead = await leadLog(log, coordinator, { ttl: '1s' })
    open.push(() => lead.close())
    await put(lead, 'a', 3)
    const follower = await follow(leader)
    await follower.fresh({ after: await log.head(), wait: '5s' })
    leader.cut = true
    // The leader lives: it has its lease.
    await expect(
      promoteFollower(follower, { force: true, coordinator, wait: '200ms' }),
    ).rejects.toMatchObject({ code: 'BANYAN_PROMOTION_REFUSED' })
    await put(lead, 'a')
    await lead.close()
    const promotion = await promoteFollower(follower, { force: true, coordinator, wait: '5s' })
    expect(promotion).toMatchObject({ kind: 'emergency', epoch: 2 })
    await expect(put(lead, 'a')).rejects.toMatchObject({ code: 'BANYAN_LOG_UNAVAILABLE' })
    // It comes back, nobody has told it anything but the coordinator: it is fenced for good.
    await expect(leadLog(log, coordinator, { ttl: '1s' })).rejects.toMatchObject({
      code: 'BANYAN_LOG_FENCED',
    })
    await expect(put(log, 'a')).rejects.toMatchObject({ code: 'BANYAN_LOG_FENCED' })
    const next = await leadLog(follower.log, coordinator, { ttl: '1s' })
    open.push(() => next.close())
    await put(next, 'a')
    expect(next.epoch).toBe(2)
  })

  test('a planned promotion takes the place that the leader gives back', async () => {
    const coordinator = await openCoordinator('memory:')
    open.push(() => coordinator.close())
    const log = await newLog('memory')
    const lead = await leadLog(log, coordinator, { ttl: '10s' })
    open.push(() => lead.close())
    await put(lead, 'a', 3)
    const follower = await follow(leaderOf(log, systemClock))
    expect(await promoteFollower(follower, { coordinator })).toMatchObject({ kind: 'planned', epoch: 2 })
    await expect(put(lead, 'a')).rejects.toThrow()
  })
})
