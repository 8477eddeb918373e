import assert from 'node:assert/strict'
import type { Coordinator, Expected } from '../../coordination/coordinator.js'
import { hasCode } from '../../coordination/errors.js'
import { seededRandom, type Random } from '../../core/random.js'
import {
  checkLinearizability,
  checkRevisions,
  coordinatorModel,
  recordCoordinator,
  type CoordinatorRecorder,
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
  readonly #history = recordCoordinator()
  readonly #random: Random
  readonly #keys: readonly string[]
  #values = 0
  /** The revision that a client saw last of a key. */
  readonly #seen = new Map<string, number>()

  constructor(seed: number, keys = 4) {
    this.#random = seededRandom(seed)
    this.#keys = Array.from({ length: keys }, (_, index) => `k/${index}`)
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
    const client = this.#history.client(name, coordinator)
    for (let calls = 0; !enough(calls); calls++) {
      try {
        await this.#call(client)
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

  async #call(client: ReturnType<CoordinatorRecorder['client']>): Promise<void> {
    const key = this.#keys[Math.floor(this.#random.next() * this.#keys.length)]!
    const dice = this.#random.next()
    if (dice < 0.35) {
      const entry = await client.get(key)
      if (entry) this.#seen.set(key, entry.revision)
    } else if (dice < 0.8) {
      const result = await client.put(key, `${++this.#values}`, { expected: this.#expected(key, dice) })
      if (result.ok) this.#seen.set(key, result.revision)
    } else {
      const known = this.#seen.get(key)
      await client.delete(key, { expected: dice < 0.9 || known === undefined ? 'any' : known })
    }
  }

  #expected(key: string, dice: number): Expected {
    if (dice < 0.45) return 'any'
    const known = this.#seen.get(key)
    return dice < 0.6 || known === undefined ? 'absent' : known
  }
}
