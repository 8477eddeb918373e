import { memoryLog } from '../../src/drivers/memory/log.js'
import { sleep } from '../../src/core/clock.js'
import { BanyanError } from '../../src/core/errors.js'
import { noTelemetry } from '../../src/core/telemetry.js'
import { eventError } from '../../src/events/errors.js'
import { DriverLog } from '../../src/events/event-log.js'
import type { EventLog } from '../../src/events/log.js'
import type { ReplicatedDriver } from '../../src/events/replica.js'
import { LogFollower } from '../../src/events/replication/follower.js'
import { leaderOf } from '../../src/events/replication/leader.js'
import { fenceLeader, promoteFollower } from '../../src/events/replication/promote.js'
import type { Leader } from '../../src/events/replication/source.js'
import type { Token } from '../../src/events/replication/token.js'
import { unpackPulled, packPulled } from '../../src/events/replication/wire.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'
import { collect } from '../support/logs.js'

/** A log that outlives the processes that use it. */
interface Place {
  readonly name: string
  readonly driver: ReplicatedDriver
  readonly log: EventLog
}

interface Acknowledged {
  readonly id: string
  readonly position: string
  readonly token: Token
  readonly epoch: number
}

interface Facts {
  readonly places: readonly Place[]
  leader: Place
  /** Nobody reaches it. */
  cut: Place | undefined
  readonly acknowledged: Acknowledged[]
  /** Where each epoch but the first begins. */
  readonly began: Map<number, string>
  readonly tally: Tally
  promoting: boolean
  promoted: number
}

/** What has happened, over all seeds: without it a run would prove little. */
export interface Tally {
  reads: number
  planned: number
  emergency: number
}

/** What is changed to see that the scenario notices it. */
export interface Sabotage {
  /** Of the driver of a follower. */
  readonly driver?: (driver: ReplicatedDriver) => ReplicatedDriver
}

/**
 * A writer, two followers that crash, a network that fails, somebody who truncates, an operator who promotes. No read with a token
 * is stale, what is acknowledged is only lost as a promotion by force has told, and in the end all copies are the same.
 */
export async function leaderAndFollowers(
  world: World,
  sabotage: Sabotage = {},
  tally: Tally = { reads: 0, planned: 0, emergency: 0 },
): Promise<void> {
  const places = ['a', 'b', 'c'].map((name): Place => {
    const driver = memoryLog()
    const made = name === 'a' ? driver : (sabotage.driver?.(driver) ?? driver)
    return { name, driver: made, log: new DriverLog(made, { runtime: calm(world) }) }
  })
  const facts: Facts = {
    places,
    leader: places[0]!,
    cut: undefined,
    acknowledged: [],
    began: new Map(),
    tally,
    promoting: false,
    promoted: 0,
  }
  world.node('writer', (node) => write(world, node, facts))
  for (const place of places.slice(1)) world.node(place.name, (node) => follow(world, node, facts, place))
  await world.storm('2m')
  facts.cut = undefined
  await world.calm(() => isSame(facts))
  await check(facts)
}

function calm(world: World) {
  return { clock: world.clock, random: { next: () => world.random.below(1e6) / 1e6 }, telemetry: noTelemetry }
}

async function write(world: World, node: SimulatedNode, facts: Facts): Promise<void> {
  for (let number = 0; number < 60; number++) {
    await node.sleep(world.random.below(3000))
    const { leader } = facts
    const streams = [`order-${world.random.below(3)}`, '$state-1'].map((stream) => ({
      stream,
      events: [{ type: 'A', data: { number } }],
    }))
    try {
      const result = await leader.log.append({ id: node.id(), streams })
      const { epochs } = await leader.driver.replica.state()
      const epoch = epochs.at(-1)!.epoch
      if (result.ok && leader === facts.leader && !facts.promoting)
        facts.acknowledged.push({
          id: result.id,
          position: result.position,
          token: { position: result.position, epoch },
          epoch,
        })
      const revision = await leader.log.revision('$state-1')
      if (world.random.chance(0.3) && revision !== 'none')
        await leader.log.truncate({ stream: '$state-1', beforeRevision: revision, forget: true })
    } catch (error) {
      if (!(error instanceof BanyanError) || !['BANYAN_LOG_FENCED', 'BANYAN_READ_ONLY'].includes(error.code))
        throw error
    }
  }
}

async function follow(world: World, node: SimulatedNode, facts: Facts, place: Place): Promise<void> {
  while (facts.leader === place) await node.sleep(5000)
  const followed = facts.leader
  const leader = overNetwork(world, node, facts, followed)
  const options = {
    runtime: node.runtime,
    heartbeat: 500,
    batch: 1 + world.random.below(20),
    fallback: 'none',
  } as const
  const follower = await LogFollower.start(place.driver, leader, options).catch((error: unknown) => {
    if (error instanceof BanyanError && error.code === 'BANYAN_LOG_UNAVAILABLE') return undefined
    throw error
  })
  while (follower && facts.leader === followed) {
    await node.sleep(world.random.below(4000))
    await read(node, facts, follower)
    // Who promotes knows of the promotion before, which an old leader that nobody has reached yet does not.
    const isFree = facts.leader === followed && !facts.promoting
    if (isFree && facts.promoted < 2 && world.random.chance(0.02))
      await promote(world, node, facts, place, follower, leader)
  }
  // What followed an old leader is asked anew by whoever starts the process again.
  if (facts.leader !== place) await follow(world, node, facts, place)
}

async function read(node: SimulatedNode, facts: Facts, follower: LogFollower): Promise<void> {
  const wanted = facts.acknowledged.at(-1)
  if (!wanted) return
  try {
    const log = await follower.fresh({ after: wanted.token, wait: 2000 })
    const events = await collect(log.read({}, { to: wanted.position, backwards: true, limit: 1 }))
    if (events[0]?.commit !== wanted.id)
      throw new Error(`a stale read of ${wanted.position}: ${JSON.stringify(events[0])}`)
    facts.tally.reads++
  } catch (error) {
    const isExpected =
      error instanceof BanyanError && ['BANYAN_FOLLOWER_BEHIND', 'BANYAN_POSITION_AHEAD'].includes(error.code)
    if (!isExpected) throw error
    node.note(error.message)
  }
}

async function promote(
  world: World,
  node: SimulatedNode,
  facts: Facts,
  place: Place,
  follower: LogFollower,
  leader: Leader,
): Promise<void> {
  facts.promoting = true
  const old = facts.leader
  const force = world.random.chance(0.5)
  if (force) facts.cut = old
  try {
    const { epoch, position, kind } = await promoteFollower(follower, { force, wait: '20s' })
    node.note(`promoted to epoch ${epoch} at ${position}, ${kind}`)
    if (kind === 'planned' && facts.acknowledged.some((each) => each.position > position))
      throw new Error(`a planned promotion at ${position} lost something`)
    facts.began.set(epoch, position)
    facts.leader = place
    facts.promoted++
    facts.tally[kind]++
    facts.promoting = false
    facts.cut = undefined
    if (force) await fenceLeader(leader, place.log, { runtime: node.runtime })
  } catch (error) {
    if (!(error instanceof BanyanError)) throw error
    node.note(error.message)
  } finally {
    facts.promoting = false
    facts.cut = undefined
  }
}

/** The leader, over a network that delays, refuses and loses answers. */
function overNetwork(world: World, node: SimulatedNode, facts: Facts, place: Place): Leader {
  const leader = leaderOf(place.log, world.clock, place.name)
  const { clock } = node.runtime
  async function ask<T>(question: () => Promise<T>): Promise<T> {
    const isAway = (): boolean => facts.cut === place || (!facts.promoting && world.random.chance(0.05))
    await sleep(clock, world.random.below(50))
    if (isAway()) throw eventError('BANYAN_LOG_UNAVAILABLE', 'refused')
    const answer = await question()
    await sleep(clock, world.random.below(50))
    if (isAway()) throw eventError('BANYAN_LOG_UNAVAILABLE', 'the answer is lost')
    return answer
  }
  return {
    name: place.name,
    pull: (request, signal) => ask(async () => unpackPulled(packPulled(await leader.pull(request, signal)))),
    state: (signal) => ask(() => leader.state(signal)),
    giveWay: (request, signal) => ask(() => leader.giveWay(request, signal)),
    read: (query, signal) => ask(() => leader.read(query, signal)),
  }
}

async function isSame({ places, leader }: Facts): Promise<boolean> {
  const head = await leader.log.head()
  for (const { log, driver } of places.slice(1)) {
    if (log === leader.log) continue
    const { epochs } = await driver.replica.state()
    const isOfLeader = epochs.length === (await leader.driver.replica.state()).epochs.length
    if (isOfLeader && (await log.head()) !== head) return false
  }
  return true
}

async function check({ places, leader, acknowledged, began }: Facts): Promise<void> {
  const events = await collect(leader.log.read())
  const state = await leader.driver.replica.state()
  for (const { log, driver } of places.slice(1)) {
    const theirs = await driver.replica.state()
    if (theirs.epochs.length !== state.epochs.length || theirs.truncation !== state.truncation) continue
    const copy = await collect(log.read())
    if (JSON.stringify(copy) !== JSON.stringify(events)) throw new Error('a copy is not the same')
  }
  const ids = new Set(events.map(({ commit }) => commit))
  for (const { id, position, epoch } of acknowledged) {
    const next = began.get(epoch + 1)
    if (!ids.has(id) && (next === undefined || position <= next))
      throw new Error(`commit ${id} at ${position} of epoch ${epoch} is lost, and nobody said so`)
  }
}
