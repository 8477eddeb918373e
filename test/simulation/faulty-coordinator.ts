import { coordinationError } from '../../src/coordination/errors.js'
import type { Maybe } from '../../src/core/maybe.js'
import type { CoordinatorDriver } from '../../src/coordination/driver.js'
import type { MemoryCoordination } from '../../src/drivers/memory/coordinator.js'
import type { SimulatedNode, World } from '../../src/testing/index.js'

/** What goes wrong between a node and the engine, and how often. Times in ms. */
export interface CoordinatorFaults {
  /** The longest time a request is on its way, and its answer as well. */
  readonly delay: number
  /** A request is refused before anything was done. */
  readonly refuse: number
  /** The answer is lost: it was done, is done later, or is never done. */
  readonly loseAnswer: number
  /** The longest time after which what nobody waits for any more is done. */
  readonly late: number
}

/** An engine as a node has it over a connection that fails, until it is calm. What it has sent arrives also if it crashes. */
export function faultyCoordinator(
  world: World,
  node: SimulatedNode,
  store: MemoryCoordination,
  { delay, refuse, loseAnswer, late }: CoordinatorFaults,
  isStormy: () => boolean,
): CoordinatorDriver {
  const driver = store.connect()
  const { random } = world

  const call = <Answer>(what: string, isChange: boolean, work: () => Maybe<Answer>): Promise<Answer> =>
    new Promise((resolve, reject) => {
      // Whoever waits may crash, or stand still.
      void node.sleep(0)
      const arrives = world.clock.now() + random.below(delay + 1)
      const answer = (hand: () => void): void => {
        const { clock } = node.runtime
        clock.schedule(clock.now() + random.below(delay + 1), hand)
      }
      const refused = isStormy() && random.chance(refuse)
      const lost = isStormy() && isChange && random.chance(loseAnswer)
      world.clock.schedule(arrives, () => {
        if (refused) {
          answer(() => reject(coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', `no ${what}`)))
          return
        }
        if (lost) {
          const fate = random.pick(['done', 'late', 'never'] as const)
          node.note(`loses the answer to ${what}, which is ${fate}`)
          const ignored = (): void => {
            try {
              void work()
            } catch {
              // Nobody is told.
            }
          }
          if (fate === 'done') ignored()
          if (fate === 'late') world.clock.schedule(arrives + random.below(late), ignored)
          answer(() => reject(coordinationError('BANYAN_OUTCOME_UNKNOWN', `no answer to ${what}`)))
          return
        }
        try {
          const result = work()
          answer(() => resolve(result))
        } catch (error) {
          answer(() => reject(error))
        }
      })
    })

  return {
    capabilities: driver.capabilities,
    get: (key) => call(`get ${key}`, false, () => driver.get(key)),
    list: (prefix) => call(`list ${prefix}`, false, () => driver.list(prefix)),
    put: (key, value, expected, lease) =>
      call(`put ${key}`, true, () => driver.put(key, value, expected, lease)),
    delete: (key, expected) => call(`delete ${key}`, true, () => driver.delete(key, expected)),
    head: () => call('head', false, () => driver.head()),
    grant: (ttl) => call('grant', true, () => driver.grant(ttl)),
    renew: (leases, within) => call('renew', false, () => driver.renew(leases, within)),
    revoke: (lease) => call('revoke', true, () => driver.revoke(lease)),
    async *watch(prefix, after, signal) {
      for await (const changes of driver.watch(prefix, after, signal)) {
        await node.sleep(random.below(delay + 1))
        yield changes
      }
    },
    close: () => undefined,
  }
}
