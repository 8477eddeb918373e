import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { nodeListener, systemClock } from '../../src/core/index.js'
import {
  followersOverHttp,
  followLog,
  leaderOf,
  openLog,
  type EventLog,
  type Follower,
  type FollowerOptions,
  type RecordedEvent,
} from '../../src/events/index.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { systemRuntime } from '../../src/core/runtime.js'
import { choices, type Choices } from '../../src/testing/seed.js'
import { seededRandom } from '../../src/core/random.js'
import { closeLogs, collect, newDirectory, newLog } from '../support/logs.js'
import { SEED, times } from '../support/effort.js'

const quiet = { ...systemRuntime, telemetry: noTelemetry }
const open: (() => unknown)[] = []

afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
  await closeLogs()
})

async function serve(log: EventLog): Promise<string> {
  const server: Server = createServer(nodeListener(followersOverHttp(log), { base: '/followers' }))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/followers`
}

async function follow(
  log: EventLog | string,
  to = 'memory:',
  options: FollowerOptions = {},
): Promise<Follower> {
  const leader = typeof log === 'string' ? log : leaderOf(log, systemClock)
  const follower = await followLog(leader, to, { runtime: quiet, heartbeat: '50ms', ...options })
  open.push(() => follower.close())
  return follower
}

/** Everything that can be seen of a log. */
async function picture(log: EventLog): Promise<object> {
  const streams = await collect(log.streams())
  const { holds, events, first } = await log.stats()
  return {
    events: await collect(log.read()),
    streams: streams.sort((a, b) => (a.stream < b.stream ? -1 : 1)),
    head: await log.head(),
    holds,
    count: events,
    first,
    findings: (await collect(log.verify())).filter(({ ok }) => !ok),
  }
}

async function caughtUp(follower: Follower, log: EventLog): Promise<void> {
  await follower.fresh({ after: await log.head(), wait: '10s', fallback: 'none' })
}

/** Does to a log what applications and patterns do. */
async function work(
  log: EventLog,
  random: Choices,
  count: number,
  shipped: () => Promise<void>,
): Promise<void> {
  for (let turn = 0; turn < count; turn++) {
    const kind = random.below(20)
    const streams = ['order', 'stock', 'user', '$state'].map((category) => `${category}-${random.below(4)}`)
    // What is truncated before it was shipped is a gap, but for the state of patterns.
    if (kind < 2) await shipped()
    if (kind === 0)
      await log.truncate({ stream: streams[0]!, beforeRevision: random.below(30) }).catch(() => undefined)
    else if (kind === 1) await log.truncate({ category: 'stock', upTo: await log.head() })
    else if (kind < 5) {
      const revision = await log.revision(streams[3]!)
      if (revision !== 'none')
        await log.truncate({
          stream: streams[3]!,
          beforeRevision: revision + random.below(2),
          forget: true,
        })
    } else if (kind === 5) await log.hold('h', await log.head())
    else if (kind === 6) await log.release('h')
    else
      await log.append({
        streams: streams.slice(random.below(4)).map((stream) => ({
          stream,
          events: Array.from({ length: 1 + random.below(3) }, (_, index) => ({
            ...(random.chance(0.2) && { id: `${turn}.${stream}.${index}.${random.below(1e9)}` }),
            type: random.pick(['A', 'B', 'C']),
            data: random.pick([
              undefined,
              { turn, text: 'ä\u2028"\\' },
              new Uint8Array([0, 255, turn % 256]),
              [],
              'x',
            ]),
            ...(random.chance(0.3) && { metadata: { actor: 'me', turn } }),
            // Patterns tag nothing of their state.
            ...(!stream.startsWith('$') && random.chance(0.3) && { tags: [`t:${random.below(3)}`, 'all'] }),
            schemaVersion: 1 + random.below(2),
          })),
        })),
      })
  }
}

describe.each([
  ['memory', 'memory'],
  ['sqlite', 'sqlite'],
  ['memory', 'sqlite'],
  ['sqlite', 'memory'],
])('a leader in %s and a follower in %s', (leaderDriver, followerDriver) => {
  const place = (): string => (followerDriver === 'memory' ? 'memory:' : `sqlite:${newDirectory()}`)

  test(`are the same, whatever was done, seed ${SEED}`, async () => {
    for (let round = 0; round < times(1); round++) {
      const random = choices(seededRandom(SEED + round))
      const log = await newLog(leaderDriver)
      const follower = await follow(leaderDriver === 'sqlite' ? await serve(log) : log, place(), { batch: 7 })
      for (let stretch = 0; stretch < 6; stretch++) {
        await work(log, random, 40, () => caughtUp(follower, log))
        await caughtUp(follower, log)
      }
      const wanted = await picture(log)
      await expect.poll(() => picture(follower.log), { timeout: 10_000 }).toEqual(wanted)
      await follower.close()
    }
  })
})

test('a follower takes no appends, and no other changes, whoever opens it', async () => {
  const log = await newLog('memory')
  await log.append({ streams: [{ stream: 'a', events: [{ type: 'A' }] }] })
  const path = `sqlite:${newDirectory()}`
  const follower = await follow(log, path)
  await caughtUp(follower, log)
  const other = await openLog(path)
  open.push(() => other.close())
  for (const one of [follower.log, other]) {
    const commit = { streams: [{ stream: 'a', events: [{ type: 'A' }] }] }
    await expect(one.append(commit)).rejects.toMatchObject({
      code: 'BANYAN_READ_ONLY',
      message: expect.stringContaining('this process') as string,
    })
    const read = async (): Promise<RecordedEvent[]> => collect(one.read())
    await expect(one.truncate({ stream: 'a', beforeRevision: 1 })).rejects.toMatchObject({
      code: 'BANYAN_READ_ONLY',
    })
    await expect(one.hold('h', '0')).rejects.toMatchObject({ code: 'BANYAN_READ_ONLY' })
    expect(await read()).toHaveLength(1)
  }
})
