import { coordinationError } from '../../../errors.js'
import { ownerIn, reowned, type Compared, type DataMove, type DataShardMap } from '../map.js'

/** The move, and the map with another one in its place; none if it is over. */
export function replaced(
  map: DataShardMap,
  id: string,
  change: (move: DataMove) => DataMove | undefined,
): DataShardMap {
  const before = map.moves.find((move) => move.id === id)
  if (!before) return map
  const after = change(before)
  if (after === before) return map
  return { ...map, moves: map.moves.flatMap((move) => (move !== before ? [move] : after ? [after] : [])) }
}

/** Goes on to a step, if it is still at the one before. */
export function stepped(
  map: DataShardMap,
  move: DataMove,
  step: DataMove['step'],
  problem?: string,
): DataShardMap {
  return replaced(map, move.id, (now) => {
    if (now.step !== move.step || now.from !== move.from) return now
    return withProblem(withCompared({ ...now, step }, undefined), problem)
  })
}

/** The target has adopted the buckets, and the source has none of them any more. */
export function switched(map: DataShardMap, move: DataMove): DataShardMap {
  const next = replaced(map, move.id, (now) => {
    if (now.step !== move.step || now.from !== move.from) return now
    const done = withProblem({ ...now, step: 'switched' as const }, undefined)
    // Whoever called it off was too late for an abort, and wants them back all the same.
    return now.aborted ? backward(done) : done
  })
  return next === map ? map : { ...next, owners: reowned(map.owners, move.buckets, move.to) }
}

/** A move that was called off before it was switched: over, or switched as it was before it was to go back. */
export function calledOff(map: DataShardMap, move: DataMove): DataShardMap {
  return replaced(map, move.id, (now) => {
    if (!now.reversed) return undefined
    return withProblem(
      withCompared(
        { ...now, from: now.to, to: now.from, reversed: false, aborted: false, step: 'switched' },
        undefined,
      ),
      undefined,
    )
  })
}

/** A switched move that goes back: its source is its target now, and has a copy that is up to date but for what was noted. */
export function backward(move: DataMove): DataMove {
  return withProblem(
    {
      ...move,
      from: move.to,
      to: move.from,
      reversed: !move.reversed,
      aborted: false,
      paused: false,
      step: 'catch-up',
    },
    undefined,
  )
}

/** The same, with how far its comparison has come; undefined: not begun. */
export function withCompared(move: DataMove, compared: Compared | undefined): DataMove {
  const next: { -readonly [Name in keyof DataMove]: DataMove[Name] } = { ...move }
  delete next.compared
  if (compared) next.compared = compared
  return next
}

export function withProblem(move: DataMove, problem: string | undefined): DataMove {
  const next: { -readonly [Name in keyof DataMove]: DataMove[Name] } = { ...move }
  delete next.problem
  if (problem !== undefined) next.problem = problem
  return next
}

/**
 * Begins moves: all of them, or none.
 *
 * @throws `BANYAN_SHARD_UNKNOWN`, `BANYAN_SHARD_MOVING`, `BANYAN_MOVE_STEP`
 */
export function begun(map: DataShardMap, moves: readonly DataMove[]): DataShardMap {
  const moving = new Map(map.moves.flatMap(({ id, buckets }) => buckets.map((bucket) => [bucket, id])))
  for (const { id, buckets, from, to } of moves) {
    if (!Object.hasOwn(map.shards, to))
      throw coordinationError(
        'BANYAN_SHARD_UNKNOWN',
        `there is no shard ${JSON.stringify(to)} to move to; there are ${Object.keys(map.shards).join(', ')}`,
      )
    for (const bucket of buckets) {
      const other = moving.get(bucket)
      if (other !== undefined)
        throw coordinationError(
          'BANYAN_SHARD_MOVING',
          `bucket ${bucket} is on its way already, by the move ${JSON.stringify(other)}: finish, reverse or abort that one first`,
        )
      if (ownerIn(map, bucket) !== from || from === to)
        throw coordinationError(
          'BANYAN_MOVE_STEP',
          `bucket ${bucket} cannot go from ${from} to ${to}: it is at ${ownerIn(map, bucket)}`,
        )
      moving.set(bucket, id)
    }
  }
  return moves.length === 0 ? map : { ...map, moves: [...map.moves, ...moves] }
}
