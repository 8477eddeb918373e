import type { Runtime } from '../../../core/runtime.js'
import { Meter, type Readings } from '../meter.js'
import { describe, type LastProblem } from './last-problem.js'

/** What a route has done and does. */
export interface RouteActivity extends Readings {
  /** Requests answered since the start. */
  requests: number
  /** Requests under way. */
  active: number
  /** The last problem that the gateway answered with by itself, if there was one. */
  lastProblem: LastProblem | undefined
}

/** What a route has answered since the start, through every change of it. */
export class RouteRecord {
  /** Requests under way. */
  active = 0
  readonly #runtime: Runtime
  readonly #meter = new Meter()
  #requests = 0
  #lastProblem: { at: number; reason: string; error: unknown } | undefined = undefined

  constructor(name: string, runtime: Runtime) {
    this.#runtime = runtime
    runtime.telemetry.gauge(
      'http.server.active_requests',
      {
        description: 'Requests whose answer is not complete.',
        unit: '{request}',
        attributes: { 'banyan.route': name },
      },
      () => this.active,
    )
  }

  /** Counts an answer whose head was there at `now`, `ms` after that of its request. */
  count(status: number, now: number, ms: number): void {
    this.#requests++
    this.#meter.count(now, ms, status >= 500)
  }

  /** Remembers why the gateway answered by itself. */
  problem(reason: string, error: unknown): void {
    this.#lastProblem = { at: this.#runtime.clock.wall(), reason, error }
  }

  state(): RouteActivity {
    const last = this.#lastProblem
    return {
      requests: this.#requests,
      active: this.active,
      ...this.#meter.read(this.#runtime.clock.now()),
      lastProblem: last && describe(last),
    }
  }
}
