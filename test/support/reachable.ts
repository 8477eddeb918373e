import { DriverCoordinator } from '../../src/coordination/driver-coordinator.js'
import type { Coordinator } from '../../src/coordination/coordinator.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import { coordinationError } from '../../src/coordination/errors.js'
import { MemoryCoordination } from '../../src/drivers/memory/coordinator.js'
import { virtualRuntime, type VirtualRuntime } from '../../src/testing/index.js'

/** Whether an engine can be reached, refuses, or never answers. */
export type Reach = 'there' | 'away' | 'silent'

/** One engine and who uses it, on virtual time. */
export interface World {
  readonly runtime: VirtualRuntime
  readonly store: MemoryCoordination
  /** A coordinator like that of another process, and how it reaches the engine. */
  readonly connect: () => { coordinator: Coordinator; engine: Engine }
}

/** An engine as one of its clients sees it. */
export class Engine {
  /** Watches from before this revision are told that it was compacted. */
  compacted = 0
  /** What was asked for. */
  readonly asked = { get: 0, list: 0, put: 0, delete: 0 }
  /** Does what is asked for, and then says that it does not know. */
  losesAnswers = false
  #reach: Reach = 'there'
  #waiting: (() => void)[] = []

  get reach(): Reach {
    return this.#reach
  }

  set reach(reach: Reach) {
    this.#reach = reach
    if (reach === 'there') for (const wake of this.#waiting.splice(0)) wake()
  }

  /** Resolves when it can be reached, or the signal aborts. */
  back(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#reach === 'there' || signal.aborted) resolve()
      this.#waiting.push(resolve)
      signal.addEventListener('abort', () => resolve(), { once: true })
    })
  }
}

export function world(): World {
  const runtime = virtualRuntime()
  const store = new MemoryCoordination(runtime.clock)
  return {
    runtime,
    store,
    connect() {
      const engine = new Engine()
      return { engine, coordinator: new DriverCoordinator(through(engine, store.connect()), { runtime }) }
    },
  }
}

function through(engine: Engine, driver: CoordinatorDriver): CoordinatorDriver {
  const reach = async <Value>(ask: () => Value): Promise<Awaited<Value>> => {
    if (engine.reach === 'silent') await new Promise(() => undefined)
    if (engine.reach === 'away')
      throw coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', 'connection refused')
    const value = await ask()
    if (engine.losesAnswers) throw coordinationError('BANYAN_OUTCOME_UNKNOWN', 'connection lost')
    return value
  }
  const counted = <Value>(what: keyof Engine['asked'], ask: () => Value): Promise<Awaited<Value>> => {
    engine.asked[what]++
    return reach(ask)
  }
  return {
    capabilities: driver.capabilities,
    get: (key) => counted('get', () => driver.get(key)),
    list: (prefix) => counted('list', () => driver.list(prefix)),
    put: (...given) => counted('put', () => driver.put(...given)),
    delete: (...given) => counted('delete', () => driver.delete(...given)),
    head: () => reach(() => driver.head()),
    grant: (ttl) => reach(() => driver.grant(ttl)),
    renew: (...given) => reach(() => driver.renew(...given)),
    revoke: (lease) => reach(() => driver.revoke(lease)),
    async *watch(prefix, after, signal) {
      if (after < engine.compacted) throw coordinationError('BANYAN_COMPACTED', 'not kept any more')
      let position = after
      while (!signal.aborted) {
        // Goes on from where it was when the engine can be reached again.
        for await (const group of driver.watch(prefix, position, signal)) {
          if (engine.reach !== 'there') break
          position = group.revision
          yield group
        }
        await engine.back(signal)
      }
    },
    close: () => driver.close(),
  }
}
