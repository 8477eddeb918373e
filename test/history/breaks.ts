import type { Random } from '../../src/core/random.js'
import { formatPosition } from '../../src/events/position.js'
import type { AnomalyKind, SeenEvent } from '../../src/testing/index.js'
import { head, type World } from './right-history.js'

/** Numbers the log anew, as if what was changed had been so from the start; answers and followers go with it. */
function renumbered(world: World, log: SeenEvent[]): World {
  const moved = new Map<string, SeenEvent>()
  const revisions = new Map<string, number>()
  const next = log.map((event, index) => {
    const revision = revisions.get(event.stream) ?? 0
    revisions.set(event.stream, revision + 1)
    const now = { ...event, revision, position: formatPosition(index + 1) }
    if (!moved.has(event.id)) moved.set(event.id, now)
    return now
  })
  const attempts = world.attempts.map((attempt) => {
    const without = { ...attempt }
    delete without.position
    return without
  })
  return { attempts, follows: [], log: next }
}

/** Each breaks a right history in one way; undefined if this one offers no occasion. */
export const BREAKS: Record<
  string,
  { kind: AnomalyKind; break: (world: World, random: Random) => World | undefined }
> = {
  'loses an acknowledged commit': {
    kind: 'lost',
    break: (world, random) => {
      const victim = pick(
        world.attempts.filter(({ outcome }) => outcome === 'ok'),
        random,
      )
      return (
        victim &&
        renumbered(
          world,
          world.log.filter(({ commit }) => commit !== victim.commit),
        )
      )
    },
  },
  'loses the tail of the log': {
    kind: 'lost',
    break: (world) => {
      const last = world.log.at(-1)!.commit
      if (!world.attempts.some(({ commit, outcome }) => commit === last && outcome === 'ok')) return undefined
      return { ...world, follows: [], log: world.log.filter(({ commit }) => commit !== last) }
    },
  },
  'loses a revision of a stream': {
    kind: 'lost',
    break: (world, random) => {
      const victim = pick(world.log.slice(0, -10), random)
      if (!victim || world.log.findLast(({ stream }) => stream === victim.stream) === victim) return undefined
      return { ...world, log: world.log.filter((event) => event !== victim) }
    },
  },
  'skips an event at a follower': {
    kind: 'lost',
    break: (world, random) => {
      const batch = pick(batches(world), random)
      batch?.events.splice(Math.floor(random.next() * batch.events.length), 1)
      return batch && world
    },
  },
  'lets a follower see what vanishes': {
    kind: 'lost',
    break: (world) => {
      const last = world.log.at(-1)!.commit
      const { attempts } = world
      const unknown = attempts.map((each) =>
        each.commit === last ? { ...each, outcome: 'unknown' as const } : each,
      )
      return { ...world, attempts: unknown, log: world.log.filter(({ commit }) => commit !== last) }
    },
  },
  'starts a follower behind what it has seen': {
    kind: 'lost',
    break: (world) => {
      const run = world.follows.at(0)!
      if (world.log.length < 6) return undefined
      const follows = [
        { ...run, batches: [] },
        { ...run, from: world.log[3]!.position, batches: [] },
      ]
      return { ...world, follows }
    },
  },
  'leaves a follower behind': {
    kind: 'lost',
    break: (world) => {
      for (const { batches, follower } of world.follows) if (follower === 'f1') batches.splice(-1)
      const reached = world.follows
        .filter(({ follower }) => follower === 'f1')
        .map((run) => run.batches.at(-1)?.position ?? '0')
      return reached.every((position) => position < head(world)) ? world : undefined
    },
  },
  'appends a commit twice': {
    kind: 'duplicated',
    break: (world, random) => {
      const { commit } = pick(world.log, random)!
      return renumbered(world, [...world.log, ...world.log.filter((event) => event.commit === commit)])
    },
  },
  'gives a follower an event twice': {
    kind: 'duplicated',
    break: (world, random) => {
      const batch = pick(batches(world), random)
      batch?.events.push(batch.events.at(-1)!)
      return batch && world
    },
  },
  'gives a follower a batch twice': {
    kind: 'duplicated',
    break: (world, random) => {
      const run = pick(
        world.follows.filter((each) => each.batches.some(({ events }) => events.length > 0)),
        random,
      )
      const index = run?.batches.findIndex(({ events }) => events.length > 0) ?? -1
      run?.batches.splice(index, 0, run.batches[index]!)
      return run && world
    },
  },
  'turns two events of a batch round': {
    kind: 'reordered',
    break: (world, random) => {
      const batch = pick(
        batches(world).filter(({ events }) => events.length > 1),
        random,
      )
      const [first, second] = batch?.events ?? []
      batch?.events.splice(0, 2, second!, first!)
      return batch && world
    },
  },
  'gives a follower an event late': {
    kind: 'reordered',
    break: (world, random) => {
      const run = pick(
        world.follows.filter((each) => each.batches.filter(({ events }) => events.length > 0).length > 1),
        random,
      )
      const full = run?.batches.filter(({ events }) => events.length > 0) ?? []
      const [late] = full[0]?.events.splice(0, 1) ?? []
      full[1]?.events.push(late!)
      return run && world
    },
  },
  'turns two events of a stream round': {
    kind: 'reordered',
    break: (world, random) => {
      const index = Math.floor(random.next() * (world.log.length - 1))
      const [first, second] = [world.log[index]!, world.log[index + 1]!]
      if (first.commit !== second.commit || first.stream !== second.stream) return undefined
      return renumbered(world, world.log.with(index, second).with(index + 1, first))
    },
  },
  'turns appends round that followed each other': {
    kind: 'reordered',
    break: (world) => {
      for (const later of world.attempts) {
        const first = world.attempts.find(({ ended, outcome }) => outcome === 'ok' && ended! < later.began)
        const tries = world.attempts.filter(({ commit }) => commit === later.commit)
        if (!first || later.outcome !== 'ok' || tries.length > 1) continue
        const moved = world.log.filter(({ commit }) => commit === later.commit)
        return renumbered(world, [...moved, ...world.log.filter(({ commit }) => commit !== later.commit)])
      }
      return undefined
    },
  },
  'answers with a wrong position': {
    kind: 'reordered',
    break: (world, random) => {
      const victim = pick(
        world.attempts.filter(({ outcome }) => outcome === 'ok'),
        random,
      )
      if (victim) victim.position = formatPosition(9999)
      return victim && world
    },
  },
  'appends behind a revision that was not the last': {
    kind: 'reordered',
    break: (world, random) => {
      const victim = pick(
        world.attempts.filter(({ outcome, streams }) => outcome === 'ok' && streams.length > 0),
        random,
      )
      for (const attempt of world.attempts)
        if (attempt.commit === victim?.commit)
          attempt.streams = attempt.streams.map((stream) => ({ ...stream, expected: 777 }))
      return victim && world
    },
  },
  'has what nobody attempted': {
    kind: 'invented',
    break: (world, random) => {
      const { commit } = pick(world.log, random)!
      return { ...world, attempts: world.attempts.filter((attempt) => attempt.commit !== commit) }
    },
  },
  'has what was refused': {
    kind: 'invented',
    break: (world, random) => {
      const { commit } = pick(world.log, random)!
      for (const attempt of world.attempts) if (attempt.commit === commit) attempt.outcome = 'failed'
      return world
    },
  },
  'has other contents': {
    kind: 'invented',
    break: (world, random) => {
      const index = Math.floor(random.next() * world.log.length)
      return { ...world, log: world.log.with(index, { ...world.log[index]!, digest: -1 }) }
    },
  },
  'shows a follower what is nowhere': {
    kind: 'invented',
    break: (world, random) => {
      const batch = pick(batches(world), random)
      const event = batch?.events.pop()
      if (event)
        batch!.events.push({ ...event, commit: 'ghost', id: 'ghost/0', position: `${event.position}x` })
      return batch && world
    },
  },
  'has a part of a commit': {
    kind: 'torn',
    break: (world, random) => {
      const victim = pick(large(world), random)
      return (
        victim &&
        renumbered(
          world,
          world.log.filter((event) => event !== victim.at(-1)),
        )
      )
    },
  },
  'shows a follower a part of a commit at the end of the log': {
    kind: 'torn',
    break: (world, random) => {
      const victim = pick(large(world), random)
      if (!victim) return undefined
      const { position } = victim[0]!
      const events = world.log.filter((event) => event.position <= position)
      const batch = { events, position, caughtUp: true, truncated: false }
      return { ...world, follows: [{ follower: 'f1', selector: {}, from: '0', batches: [batch] }] }
    },
  },
}

function batches(world: World): World['follows'][number]['batches'] {
  return world.follows.flatMap((run) => run.batches).filter(({ events }) => events.length > 0)
}

function pick<T>(list: readonly T[], random: Random): T | undefined {
  return list[Math.floor(random.next() * list.length)]
}

/** Commits with more than one event. */
function large({ log }: World): SeenEvent[][] {
  const ids = new Set(log.map(({ commit }) => commit))
  return [...ids].map((id) => log.filter(({ commit }) => commit === id)).filter((events) => events.length > 1)
}
