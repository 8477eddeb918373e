import { seededRandom } from '../../src/core/random.js'
import { formatPosition } from '../../src/events/position.js'
import type { Attempt, FollowerRun, SeenBatch, SeenEvent } from '../../src/testing/index.js'

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }
/** A history that can be changed. */
export interface World {
  attempts: Mutable<Attempt>[]
  follows: (Omit<FollowerRun, 'batches'> & {
    batches: (Omit<SeenBatch, 'events'> & { events: SeenEvent[] })[]
  })[]
  log: SeenEvent[]
}

/** A history that a right log can have: overlapping appends, refusals, lost answers, followers that start again. */
export function rightHistory(seed: number, size = 60): World {
  const random = seededRandom(seed)
  const chance = (probability: number): boolean => random.next() < probability
  const below = (limit: number): number => Math.floor(random.next() * limit)
  const world: World = { attempts: [], follows: [], log: [] }
  const revisions = new Map<string, number>()
  const open: Mutable<Attempt>[] = []
  const unapplied = new Set<Attempt>()
  let now = 0

  const begin = (number: number): void => {
    const names = ['a-1', 'a-2', 'b-1'].filter(() => chance(0.5))
    const commit = `c${number}`
    let ordinal = 0
    const streams = (names.length > 0 ? names : ['a-1']).map((stream) => ({
      stream,
      expected: 'any' as const,
      events: Array.from({ length: 1 + below(3) }, () => ({
        id: `${commit}/${ordinal++}`,
        digest: below(1e9),
      })),
    }))
    const attempt: Mutable<Attempt> = {
      writer: `w${below(3)}`,
      commit,
      streams,
      began: now,
      outcome: 'unknown',
    }
    world.attempts.push(attempt)
    open.push(attempt)
    unapplied.add(attempt)
  }
  const apply = (attempt: Mutable<Attempt>): void => {
    unapplied.delete(attempt)
    for (const { stream, events } of attempt.streams)
      for (const { id, digest } of events) {
        const revision = revisions.get(stream) ?? 0
        revisions.set(stream, revision + 1)
        const position = formatPosition(world.log.length + 1)
        world.log.push({
          position,
          stream,
          revision,
          commit: attempt.commit,
          id,
          type: 'T',
          tags: [],
          digest,
        })
      }
  }
  const tryAgain = (attempt: Mutable<Attempt>): void => {
    const again: Mutable<Attempt> = { ...attempt, began: now }
    world.attempts.push(again)
    open.push(again)
    if (unapplied.delete(attempt)) unapplied.add(again)
  }
  const end = (attempt: Mutable<Attempt>): void => {
    if (chance(0.25)) {
      if (unapplied.has(attempt) && chance(0.5)) apply(attempt)
      if (chance(0.5)) tryAgain(attempt)
      return
    }
    attempt.ended = now
    if (unapplied.has(attempt) && chance(0.2)) {
      attempt.outcome = chance(0.5) ? 'conflict' : 'failed'
      return
    }
    if (unapplied.has(attempt)) apply(attempt)
    attempt.outcome = 'ok'
    attempt.position = world.log.findLast(({ commit }) => commit === attempt.commit)!.position
  }
  const read = (run: World['follows'][number]): void => {
    const cursor = run.batches.at(-1)?.position ?? run.from
    const all = world.log.filter(({ position }) => position > cursor)
    const taken = all.slice(0, 1 + below(6))
    const caughtUp = taken.length === all.length
    const wanted = taken.filter(
      ({ stream }) => !run.selector.category || stream.startsWith(run.selector.category),
    )
    run.batches.push({
      events: wanted,
      position: taken.at(-1)?.position ?? cursor,
      caughtUp,
      truncated: false,
    })
  }
  const follow = (follower: string): World['follows'][number] => {
    const before = world.follows.filter((run) => run.follower === follower).flatMap(({ batches }) => batches)
    const from = before.length > 0 ? before[below(before.length)]!.position : '0'
    const run = { follower, selector: follower === 'f2' ? { category: 'a' } : {}, from, batches: [] }
    world.follows.push(run)
    return run
  }

  let runs = ['f1', 'f2'].map(follow)
  for (let number = 0; number < size;) {
    now++
    if (open.length === 0 || chance(0.3)) begin(number++)
    else if (chance(0.3)) {
      const attempt = open[below(open.length)]!
      if (unapplied.has(attempt) && chance(0.7)) apply(attempt)
    } else if (chance(0.5)) end(open.splice(below(open.length), 1)[0]!)
    else if (chance(0.1)) runs = runs.map(({ follower }) => follow(follower))
    else read(runs[below(runs.length)]!)
  }
  for (const attempt of open) if (!unapplied.has(attempt)) attempt.outcome = 'unknown'
  for (const run of runs)
    while (!run.batches.at(-1)?.caughtUp || run.batches.at(-1)!.position !== head(world)) read(run)
  return world
}

/** Where its log ends. */
export const head = ({ log }: World): string => log.at(-1)?.position ?? '0'
