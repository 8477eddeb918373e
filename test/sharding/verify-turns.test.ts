import { expect, test } from 'vitest'
import { seededRandom } from '../../src/core/random.js'
import {
  abortMove,
  pauseMove,
  resumeMove,
  startMoves,
} from '../../src/coordination/sharding/data/moves/operate.js'
import { MoveExecutor } from '../../src/coordination/sharding/data/moves/executor.js'
import type { DataMove } from '../../src/coordination/sharding/data/map.js'
import { SEED } from '../support/effort.js'
import { MovingWorld } from './moving-world.js'

const NAME = 'conformance'

/** A move of every bucket, of which some rows were compared. */
async function comparing(
  world: MovingWorld,
): Promise<{ id: string; executor: MoveExecutor; move: DataMove }> {
  for (let count = 0; count < 60; count++) await world.writeSome()
  const [id] = await startMoves(world.coordinator, NAME, [{ buckets: [0, 1, 2, 3], from: 'a', to: 'b' }])
  const executor = world.executor()
  await executor.begin()
  for (;;) {
    const [move] = await world.moves()
    if (move!.step === 'verify' && move!.compared) return { id: id!, executor, move: move! }
    await executor.advance(move!)
  }
}

test(`a comparison is paused between two turns, and another executor goes on where it was (seed ${SEED})`, async () => {
  const world = await MovingWorld.open(seededRandom(SEED))
  try {
    const pages: string[] = []
    world.wrong = (moves) =>
      new Proxy(moves, {
        get: (of, name: keyof typeof moves) =>
          name === 'readPage'
            ? (...[step, query]: Parameters<typeof moves.readPage>) => {
                pages.push(`${query.table}/${query.bucket}/${query.after ?? ''}`)
                return of.readPage(step, query)
              }
            : (of[name] as (...values: unknown[]) => unknown).bind(of),
      })
    const { id, move } = await comparing(world)
    await pauseMove(world.coordinator, NAME, id)
    expect(MoveExecutor.isBusy((await world.moves())[0]!)).toBe(false)
    await resumeMove(world.coordinator, NAME, id)
    pages.length = 0
    await world.execute()
    const { table, bucket, after } = move.compared!
    expect(pages[0]).toBe(`${table}/${bucket}/${after ?? ''}`)
    const [switched] = await world.moves()
    expect(switched).toMatchObject({ step: 'switched' })
    expect(switched).not.toHaveProperty('compared')
    expect(await world.check()).toEqual([])
  } finally {
    await world.close()
  }
})

test('a comparison that writes outrun lets itself be called off', async () => {
  const world = await MovingWorld.open(seededRandom(SEED))
  try {
    const { id, move } = await comparing(world)
    world.wrong = (moves) =>
      new Proxy(moves, {
        get: (of, name: keyof typeof moves) =>
          name === 'readChanges'
            ? // However much was applied, as much has come in.
              async (...given: Parameters<typeof moves.readChanges>) => ({
                ...(await of.readChanges(...given)),
                marks: Array<string>(given[1]).fill('-1'),
              })
            : (of[name] as (...values: unknown[]) => unknown).bind(of),
      })
    const outrun = world.executor()
    await outrun.begin()
    for (let turn = 0; turn < 3; turn++) await outrun.advance((await world.moves())[0]!)
    expect((await world.moves())[0]).toMatchObject({ step: 'verify', compared: move.compared! })
    await abortMove(world.coordinator, NAME, id)
    await outrun.advance((await world.moves())[0]!)
    expect(await world.moves()).toEqual([])
    expect(await world.check()).toEqual([])
  } finally {
    await world.close()
  }
})
