import { expect, test } from 'vitest'
import { hashText } from '../../src/core/hashing/hash.js'
import { seededRandom } from '../../src/core/random.js'
import { startMoves } from '../../src/coordination/sharding/data/moves/operate.js'
import type { DigestedRows, ShardMoves } from '../../src/coordination/sharding/data/store.js'
import { MovingWorld } from './moving-world.js'

/** Worlds in which something wrong has to show, and in which what is right is looked at. */
const WRONG = 24
const RIGHT = 4

/** What is wrong after a move with a mechanism that is; every seed until it shows. */
async function found(
  breaks: (world: MovingWorld) => Promise<void> | void,
  worlds = WRONG,
): Promise<string | undefined> {
  for (let seed = 1; seed <= worlds; seed++) {
    const random = seededRandom(hashText(String(seed)))
    const world = await MovingWorld.open(random)
    try {
      await breaks(world)
      await startMoves(world.coordinator, 'conformance', [{ buckets: [0, 1, 2, 3], from: 'a', to: 'b' }])
      await world.execute()
      const [move] = await world.moves()
      if (move?.step === 'diverged') return `diverged: ${move.problem}`
      const [problem] = await world.check()
      if (problem !== undefined) return problem
    } catch (error) {
      return (error as Error).message
    } finally {
      await world.close()
    }
  }
  return undefined
}

/** Steps of which some are others. */
function but(moves: ShardMoves, others: Partial<ShardMoves>): ShardMoves {
  return new Proxy(moves, {
    get: (of, name) => {
      const value: unknown = Reflect.get(others, name) ?? Reflect.get(of, name)
      return typeof value === 'function' ? (value as () => unknown).bind(of) : value
    },
  })
}

test('nothing is found of what is right', async () => {
  expect(await found(() => undefined, RIGHT)).toBeUndefined()
})

test('a trigger for deletions that is not there is found before the switch', async () => {
  const problem = await found(async ({ stores }) => {
    await stores[0]!.transact((db) => db.exec('DROP TRIGGER banyan_delete_parts'))
  })
  expect(problem).toMatch(/^diverged: \d+ (rows of "parts" are staged|of \d+ rows of "parts")/)
})

test('a switch that blocks nobody is found', async () => {
  const problem = await found((world) => {
    world.wrong = (moves) =>
      but(moves, {
        block: async (step, wait) => {
          const epochs = await moves.block(step, wait)
          await moves.unblock(step)
          return epochs
        },
        retire: async (step) => {
          await moves.block(step, 1000)
          await moves.retire(step)
        },
      })
  })
  expect(problem).toMatch(/rows of|are\n|two databases/)
})

test('a copy that nobody compares is found', async () => {
  const wrong = (compared: boolean) => (world: MovingWorld) => {
    world.wrong = (moves, shard) =>
      but(moves, {
        writePage: (step, query, page) =>
          moves.writePage(step, query, { ...page, rows: page.rows.filter(({ key }) => !key.includes('7')) }),
        ...(!compared && {
          digests: (step, table, keys): Promise<DigestedRows> =>
            Promise.resolve(new Map(keys.map((key) => [key, `${table}/${step.id}/${shard.length}`]))),
          readPage: async (step, query) => {
            const page = await moves.readPage(step, query)
            return {
              ...page,
              rows: page.rows.map((row) => ({ ...row, digest: `${query.table}/${step.id}/1` })),
            }
          },
          count: () => Promise.resolve(0),
        }),
      })
  }
  expect(await found(wrong(true))).toMatch(/^diverged: /)
  // A part without its item is found even then.
  expect(await found(wrong(false))).toMatch(/^(items|parts) are|refer to rows that are not there/)
})

test('a source that keeps what it gave away is found', async () => {
  const problem = await found((world) => {
    world.wrong = (moves) => but(moves, { retire: () => Promise.resolve() })
  })
  expect(problem).toMatch(/owned twice|two databases|blocked/)
})
