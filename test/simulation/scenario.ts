import { BanyanError } from '../../src/core/errors.js'
import type { LogDriver } from '../../src/events/driver.js'
import type { Commit, EventLog, Selector } from '../../src/events/log.js'
import {
  checkHistory,
  historyOf,
  historyRecorder,
  loggedEvents,
  type HistoryEntry,
  type HistoryRecorder,
  type SimulatedLog,
  type SimulatedNode,
  type World,
} from '../../src/testing/index.js'

const WRITERS = 3
const COMMITS = 6

type NamedCommit = Commit & { id: string }

/** What a driver of the scenario may do in the middle of it. */
export interface Engine {
  readonly driver: LogDriver
  /** The server crashes and starts again. */
  readonly crash?: () => Promise<void>
}

/**
 * Writers that try each commit until they know what became of it, and followers that keep how far they are. What they
 * tried and saw is checked at the end.
 */
export async function writersAndFollowers(world: World, engine?: Engine): Promise<void> {
  const log = world.log(engine?.driver)
  const entries: HistoryEntry[] = []
  const recorder = (node: SimulatedNode): HistoryRecorder =>
    historyRecorder({
      name: node.name,
      write: (entry) => entries.push(entry),
      now: () => world.clock.now(),
      id: node.id,
    })

  const finished = new Set<string>()
  for (let writer = 0; writer < WRITERS; writer++) {
    const commits = Array.from({ length: COMMITS }, (_, number) => commitOf(world, writer, number))
    world.node(`writer-${writer}`, async (node) => {
      const connected = node.open(log)
      // Having crashed, it knows only what it has to do, and begins from the start.
      for (const commit of commits) {
        await untilKnown(node, recorder(node), connected, commit)
        await node.sleep(world.random.below(400))
      }
      finished.add(node.name)
    })
  }

  const reached = new Map<string, string>()
  const ended = new Set<string>()
  const follow = (name: string, selector: Selector, batch: number): unknown =>
    world.node(name, async (node) => {
      const from = reached.get(name) ?? '0'
      for await (const { position, events } of recorder(node).follow(name, node.open(log), selector, {
        from,
        batch,
      })) {
        // It does its work; what it has done and not yet written down it sees again after a crash.
        await node.sleep(world.random.below(30))
        reached.set(name, position)
        if (events.some(({ commit }) => commit === 'end')) ended.add(name)
      }
    })
  follow('everything', {}, 512)
  follow('in-small-steps', {}, 2)
  follow('a-category', { category: 'shared' }, 5)

  await world.storm(`${1 + world.random.below(8)}s`)
  await engine?.crash?.()
  await world.storm(`${world.random.below(4)}s`)
  await world.calm(() => finished.size === WRITERS)
  // What every follower must come to.
  const end = historyRecorder({
    name: 'end',
    write: (entry) => entries.push(entry),
    now: () => world.clock.now(),
  })
  await end.append(log.truth, { id: 'end', streams: [{ stream: 'shared-0', events: [{ type: 'Ended' }] }] })
  const stuck = await world.calm(() => ended.size === 3, '1m').catch((error: unknown) => error)
  await check(entries, log)
  if (stuck) throw stuck
}

function commitOf(world: World, writer: number, number: number): NamedCommit {
  const { pick, chance, below } = world.random
  const names = chance(0.4)
    ? [`shared-${below(2)}`, `own-${writer}`]
    : [pick([`shared-${below(2)}`, `own-${writer}`])]
  return {
    id: `w${writer}-${number}`,
    streams: names.map((stream) => ({
      stream,
      expected: chance(0.2) ? below(4) : 'any',
      events: Array.from({ length: 1 + below(2) }, (_, index) => ({
        type: 'Happened',
        data: { writer, number, index },
      })),
    })),
  }
}

/** Tries a commit under its id until the log says what became of it. */
async function untilKnown(
  node: SimulatedNode,
  recorder: HistoryRecorder,
  log: EventLog,
  commit: NamedCommit,
): Promise<void> {
  for (;;) {
    try {
      await recorder.append(log, commit)
      return
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      await node.sleep('100ms')
    }
  }
}

async function check(entries: readonly HistoryEntry[], log: SimulatedLog): Promise<void> {
  const verdict = checkHistory(
    { ...historyOf(entries), log: await loggedEvents(log.truth) },
    { caughtUp: true },
  )
  if (!verdict.ok) throw new Error(verdict.summary)
}
