import { afterEach, expect, test } from 'vitest'
import { systemClock } from '../../src/core/index.js'
import { systemRuntime } from '../../src/core/runtime.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import {
  followLog,
  leaderOf,
  promoteFollower,
  tokenOf,
  type EventLog,
  type Follower,
  type FollowerOptions,
  type Leader,
} from '../../src/events/index.js'
import { memoryLog } from '../../src/drivers/memory/log.js'
import { eventError } from '../../src/events/errors.js'
import { LogFollower } from '../../src/events/replication/follower.js'
import { closeLogs, collect, newLog } from '../support/logs.js'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  await closeLogs()
})

async function follow(log: EventLog | Leader, options: FollowerOptions = {}): Promise<Follower> {
  const leader = 'pull' in log ? log : leaderOf(log, systemClock)
  const follower = await followLog(leader, 'memory:', {
    runtime: { ...systemRuntime, telemetry: noTelemetry },
    heartbeat: '10ms',
    ...options,
  })
  open.push(() => follower.close())
  return follower
}

const put = (log: EventLog, ...streams: string[]) =>
  log.append({ streams: streams.map((stream) => ({ stream, events: [{ type: 'A' }] })) })

/** An old leader that has given way to another one, with one more event there; and a follower that still follows it. */
async function leftBehind(): Promise<{ follower: Follower; successor: EventLog }> {
  const old = await newLog('memory')
  await put(old, 'a')
  const [follower, next] = [await follow(old), await follow(old)]
  await follower.fresh({ after: await old.head(), wait: '5s', fallback: 'none' })
  await promoteFollower(next)
  await put(next.log, 'a')
  return { follower, successor: next.log }
}

test('a read that an old leader would have to answer fails: what the token stands for is not there', async () => {
  const { follower, successor } = await leftBehind()
  const after = await tokenOf(successor)
  for (const token of [after, after.position])
    await expect(collect(follower.read({}, { after: token, wait: '20ms' }))).rejects.toMatchObject({
      code: 'BANYAN_FOLLOWER_BEHIND',
    })
  expect(follower.reads.leader).toBe(0)
})

test('what follows an old leader is not taken for fresh, as that does not tell what is new', async () => {
  const { follower } = await leftBehind()
  await expect.poll(() => follower.status().staleness, { timeout: 5000, interval: 10 }).toBeGreaterThan(100)
  await expect(
    follower.fresh({ maxStaleness: '50ms', wait: '20ms', fallback: 'none' }),
  ).rejects.toMatchObject({ code: 'BANYAN_FOLLOWER_BEHIND' })
})

test('a token of a leader that was promoted beside another is not taken for one of the same epoch there', async () => {
  const old = await newLog('memory')
  await put(old, 'a')
  const leader = leaderOf(old, systemClock)
  let isGone = false
  const reach = <T>(ask: () => Promise<T>): Promise<T> =>
    isGone ? Promise.reject(eventError('BANYAN_LOG_UNAVAILABLE', 'gone')) : ask()
  const network: Leader = {
    name: 'old',
    pull: (request, signal) => reach(() => leader.pull(request, signal)),
    state: (signal) => reach(() => leader.state(signal)),
    giveWay: (request, signal) => reach(() => leader.giveWay(request, signal)),
    read: (query, signal) => reach(() => leader.read(query, signal)),
  }
  const followers = [await follow(network), await follow(network)] as const
  for (const follower of followers)
    await follower.fresh({ after: await old.head(), wait: '5s', fallback: 'none' })
  const before = await tokenOf(old)
  isGone = true
  for (const follower of followers) {
    await promoteFollower(follower, { force: true })
    await put(follower.log, 'a')
  }
  const [one, other] = followers
  const token = await tokenOf(one.log)
  expect(token).toMatchObject({ epoch: 2, position: await other.log.head() })
  const copy = await follow(other.log)
  for (const after of [token, { ...before, position: token.position }])
    await expect(copy.fresh({ after, wait: '5s' })).rejects.toMatchObject({ code: 'BANYAN_POSITION_AHEAD' })
  await copy.fresh({ after: await tokenOf(other.log), wait: '5s', fallback: 'none' })
  await copy.fresh({ after: before, wait: 0, fallback: 'none' })
})

test('what follows an old leader says so', async () => {
  const { follower } = await leftBehind()
  await expect
    .poll(() => follower.status(), { timeout: 5000, interval: 10 })
    .toMatchObject({
      ...{ state: 'following', writable: false },
      problem: {
        code: 'BANYAN_LOG_FENCED',
        message: expect.stringContaining('gave way to the leader of epoch 2') as string,
      },
    })
})

test('a copy that cannot write knows what it lacks, and goes on when it can', async () => {
  const log = await newLog('memory')
  const driver = memoryLog()
  const apply = driver.replica.apply.bind(driver.replica)
  driver.replica.apply = () => Promise.reject(eventError('BANYAN_LOG_FULL', 'no space is left'))
  await put(log, 'a', 'b')
  const runtime = { ...systemRuntime, telemetry: noTelemetry }
  const follower = await LogFollower.start(driver, leaderOf(log, systemClock), { runtime })
  open.push(() => follower.close())
  await expect
    .poll(() => follower.status(), { timeout: 5000, interval: 10 })
    .toMatchObject({ behind: 2, problem: { code: 'BANYAN_LOG_FULL' } })
  driver.replica.apply = apply
  await follower.fresh({ after: await log.head(), wait: '5s', fallback: 'none' })
  await expect(follower.fresh({ after: 'soon' })).rejects.toMatchObject({ code: 'BANYAN_INVALID_POSITION' })
})

test('what is left of a commit is shipped, also if its first events were removed and forgotten', async () => {
  const log = await newLog('memory')
  await put(log, '$state-1', 'order-1')
  await put(log, 'order-1')
  await log.truncate({ stream: '$state-1', beforeRevision: 1, forget: true })
  const follower = await follow(log)
  await follower.fresh({ after: await log.head(), wait: '5s', fallback: 'none' })
  expect(await collect(follower.log.read())).toEqual(await collect(log.read()))
})
