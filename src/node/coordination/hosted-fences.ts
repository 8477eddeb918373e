import { duration, formatDuration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import { coordinationError } from '../../coordination/errors.js'
import { coordinatorFences, type FenceKeeper } from '../../coordination/fencing/fenced-key.js'
import { entranceOf } from '../../coordination/fencing/http/entrance.js'
import { Turnstile } from '../../coordination/fencing/http/turnstile.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import type { Admit, FencingRouteSpec } from '../../traffic/gateway/index.js'
import type { HostedCoordinator } from './hosted-coordinator.js'

/** How long a request waits for the coordinator, in ms. */
const PATIENCE_MS = 2000

/** The fences of the routes of a node: the highest token of each is kept in its coordinator. */
export class HostedFences {
  readonly #runtime: Runtime
  /** One for each fence, whatever its routes are and how they change: requests of before are still under way. */
  readonly #turnstiles = new Map<string, Turnstile>()
  readonly #keeper: FenceKeeper
  #reached: FenceKeeper | undefined

  constructor(coordinator: HostedCoordinator, runtime: Runtime) {
    this.#runtime = runtime
    coordinator.whenReached((reached) => (this.#reached = coordinatorFences(reached)))
    this.#keeper = { raise: (claim) => this.#raise(claim) }
  }

  admission({ name, required = true, wait = '30s' }: FencingRouteSpec): Admit {
    let turnstile = this.#turnstiles.get(name)
    if (!turnstile) {
      turnstile = new Turnstile(name, this.#keeper, this.#runtime.clock)
      this.#turnstiles.set(name, turnstile)
    }
    return entranceOf(turnstile, { name, required, wait: duration(wait, 'fencing.wait') }, this.#runtime)
  }

  async #raise(claim: Parameters<FenceKeeper['raise']>[0]): Promise<void> {
    if (!this.#reached)
      throw coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', 'it could not be reached yet')
    const raised = await raceWithTimer(this.#runtime.clock, this.#reached.raise(claim), PATIENCE_MS)
    if (isPassed(raised))
      throw coordinationError(
        'BANYAN_COORDINATOR_UNAVAILABLE',
        `it has not answered for ${formatDuration(PATIENCE_MS)}`,
      )
  }
}
