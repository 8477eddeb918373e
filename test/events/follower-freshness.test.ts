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
} from '../../src/events/index.js'
import { closeLogs, collect, newLog } from '../support/logs.js'

const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  await closeLogs()
})

async function follow(log: EventLog, options: FollowerOptions = {}): Promise<Follower> {
  const follower = await followLog(leaderOf(log, systemClock), 'memory:', {
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

test('what is left of a commit is shipped, also if its first events were removed and forgotten', async () => {
  const log = await newLog('memory')
  await put(log, '$state-1', 'order-1')
  await put(log, 'order-1')
  await log.truncate({ stream: '$state-1', beforeRevision: 1, forget: true })
  const follower = await follow(log)
  await follower.fresh({ after: await log.head(), wait: '5s', fallback: 'none' })
  expect(await collect(follower.log.read())).toEqual(await collect(log.read()))
})
