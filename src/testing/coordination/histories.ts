import assert from 'node:assert/strict'
import type { Coordinator, DeleteResult, Expected, PutResult } from '../../coordination/coordinator.js'
import { hasCode } from '../../coordination/errors.js'
import { seededRandom, type Random } from '../../core/random.js'
import {
  checkLinearizability,
  checkRevisions,
  coordinatorModel,
  recordHistory,
  type CoordinatorInput,
  type CoordinatorOutput,
  type RecordedOperations,
} from '../linearizability/index.js'
import { freshSeed, replayHint, seedOfEnvironment } from '../seed.js'

/** Runs a history of clients under a seed, which a failure names. */
export async function withClients(run: (clients: Clients) => Promise<void>): Promise<void> {
  const seed = seedOfEnvironment() ?? freshSeed()
  const clients = new Clients(seed)
  try {
    await run(clients)
    clients.check()
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new Error(`${message}\n${replayHint(seed)}`, { cause: error })
  }
}

/** Random calls of several clients, kept for the checker. */
export class Clients {
  readonly #history: RecordedOperations<CoordinatorInput, CoordinatorOutput>
  readonly #random: Random
  readonly #keys: readonly string[]
  #values = 0
  /** The revision that a client saw last of a key. */
  readonly #seen = new Map<string, number>()

  constructor(seed: number, keys = 4) {
    this.#random = seededRandom(seed)
    this.#keys = Array.from({ length: keys }, (_, index) => `k/${index}`)
    this.#history = recordHistory(undefined, {
      nothingDone: (error) =>
        hasCode(error, 'BANYAN_COORDINATOR_UNAVAILABLE') || hasCode(error, 'BANYAN_COORDINATOR_CLOSED'),
    })
  }

  /** How many calls were made. */
  get calls(): number {
    return this.#history.operations.length
  }

  /**
   * Makes calls, one after the other, until `enough`. Those that fail as the engine was away are part of the game.
   *
   * @param name - of the client
   */
  async run(name: string, coordinator: Coordinator, enough: (calls: number) => boolean): Promise<void> {
    for (let calls = 0; !enough(calls); calls++) {
      try {
        await this.#call(name, coordinator)
      } catch (error) {
        if (!hasCode(error, 'BANYAN_OUTCOME_UNKNOWN') && !hasCode(error, 'BANYAN_COORDINATOR_UNAVAILABLE'))
          throw error
        // Nobody asks an engine that is away in a loop that lets nobody else in.
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
    }
  }

  /** Fails unless all calls can have been made one after the other. */
  check(): void {
    const { operations } = this.#history
    const { verdict, summary } = checkLinearizability(coordinatorModel, operations)
    assert.equal(verdict, 'linearizable', summary)
    assert.deepEqual(checkRevisions(operations), [])
  }

  async #call(client: string, coordinator: Coordinator): Promise<void> {
    const key = this.#keys[Math.floor(this.#random.next() * this.#keys.length)]!
    const dice = this.#random.next()
    if (dice < 0.35) {
      await this.#history.run(client, { op: 'get', key }, async () => {
        const entry = await coordinator.get(key)
        if (!entry) return { is: 'absent' }
        this.#seen.set(key, entry.revision)
        const { value, revision, created } = entry
        return { is: 'present', value, revision, created }
      })
    } else if (dice < 0.8) {
      const expected = this.#expected(key, dice)
      const value = `${++this.#values}`
      await this.#history.run(client, { op: 'put', key, value, expected }, async () => {
        const result = await coordinator.put(key, value, { expected })
        if (result.ok) this.#seen.set(key, result.revision)
        return outputOf(result)
      })
    } else {
      const known = this.#seen.get(key)
      const expected = dice < 0.9 || known === undefined ? 'any' : known
      await this.#history.run(client, { op: 'delete', key, expected }, async () =>
        outputOf(await coordinator.delete(key, { expected })),
      )
    }
  }

  #expected(key: string, dice: number): Expected {
    if (dice < 0.45) return 'any'
    const known = this.#seen.get(key)
    return dice < 0.6 || known === undefined ? 'absent' : known
  }
}

function outputOf(result: PutResult | DeleteResult): CoordinatorOutput {
  if (!result.ok) return { is: 'conflict', actual: result.actual?.revision ?? 'absent' }
  return { is: 'done', ...(result.revision !== undefined && { revision: result.revision }) }
}
