import { backoffWait, type Growth } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { coordinationError, isPassing } from '../../coordination/errors.js'
import {
  openCoordinator,
  type Coordinator,
  type CoordinatorSpec,
  type Outage,
} from '../../coordination/index.js'
import { KEYSPACE } from '../../coordination/keyspace.js'
import { isPassed, raceWithTimer } from '../../core/race-with-timer.js'
import type { Log } from '../log.js'
import { HostedViews } from './hosted-views.js'
import { actionsOn, type CoordinationActions } from './operations.js'
import type { CoordinationState } from './state.js'

/** How long the start of a node, and whoever looks, waits for the coordinator, in ms. */
const PATIENCE_MS = 2000
/** What is known for longer than this is asked for anew, in ms. */
const FRESH_MS = 1000
/** Waits between tries to open one that is away. */
const RETRY: Growth = { base: 100, factor: 2, max: 5000 }
/** Nothing stands there; the answer tells that it answers. */
const PROBE = `${KEYSPACE.history}probe`

/** The coordinator of a node: opened at its start or as soon as it can be reached, given to the operators, closed at its end. */
export class HostedCoordinator {
  readonly #spec: CoordinatorSpec
  readonly #runtime: Runtime
  readonly #write: Log
  readonly #closing = new AbortController()
  readonly #hideGauge: () => void
  #coordinator: Coordinator | undefined
  #views: HostedViews | undefined
  #opening: Promise<void> | undefined
  #problem: string | undefined
  #latency: number | undefined
  #askedAt = -Infinity
  #whenReached: ((coordinator: Coordinator) => void)[] = []
  readonly #openedAt: number

  private constructor(spec: CoordinatorSpec, runtime: Runtime, write: Log) {
    this.#spec = spec
    this.#runtime = runtime
    this.#write = write
    this.#openedAt = runtime.clock.wall()
    this.#hideGauge = runtime.telemetry.gauge(
      'banyan.coordination.up',
      {
        description: 'Whether the coordinator can be asked.',
        unit: '1',
        attributes: { 'banyan.coordination.driver': spec.driver },
      },
      () => (this.problem === undefined ? 1 : 0),
    )
  }

  /**
   * Opens the coordinator. One that is away does not keep the node from starting: it is tried again in the background.
   *
   * @throws {@link BanyanError} with the code of the driver if waiting does not help
   */
  static async open(spec: CoordinatorSpec, runtime: Runtime, write: Log): Promise<HostedCoordinator> {
    const hosted = new HostedCoordinator(spec, runtime, write)
    const opened = hosted.#open()
    try {
      if (isPassed(await raceWithTimer(runtime.clock, opened, PATIENCE_MS)))
        hosted.#away(`it has not answered for ${formatDuration(PATIENCE_MS)}`)
    } catch (error) {
      if (!isPassing(error)) {
        await hosted.close()
        if (!(error instanceof BanyanError)) throw error
        throw new BanyanError(error.code as `BANYAN_${string}`, `coordination: ${error.message}`, {
          cause: error,
        })
      }
      hosted.#away(error.message)
    }
    hosted.#opening = hosted.#keepOpening(opened)
    return hosted
  }

  /**
   * What operators look at.
   *
   * @throws `BANYAN_COORDINATOR_UNAVAILABLE` until it could be reached for the first time
   */
  get views(): HostedViews {
    return (this.#views ??= new HostedViews(this.#reached))
  }

  /**
   * What operators do.
   *
   * @throws `BANYAN_COORDINATOR_UNAVAILABLE` until it could be reached for the first time
   */
  get actions(): CoordinationActions {
    return actionsOn(this.#reached)
  }

  /** Calls `use` as soon as it could be reached for the first time; now if it was. */
  whenReached(use: (coordinator: Coordinator) => void): void {
    if (this.#coordinator) use(this.#coordinator)
    else this.#whenReached.push(use)
  }

  /** Why it could not be reached at all yet, and since when that is tried. */
  get outage(): Outage | undefined {
    if (this.#coordinator || this.#problem === undefined) return undefined
    return { since: this.#openedAt, problem: this.#problem }
  }

  /** Why it could not be asked the last time, if it could not. */
  get problem(): string | undefined {
    if (this.#runtime.clock.now() - this.#askedAt >= FRESH_MS) void this.#look()
    return this.#problem
  }

  /** Aborts when those who follow are to come back elsewhere. */
  get closing(): AbortSignal {
    return this.#closing.signal
  }

  async state(): Promise<CoordinationState> {
    await this.#look()
    return {
      driver: this.#spec.driver,
      ...this.#coordinator?.capabilities,
      ...(this.#problem === undefined ? { latency: this.#latency! } : { problem: this.#problem }),
    }
  }

  /** Ends what never ends by itself: those who follow are told to come back elsewhere. */
  endFollowers(): void {
    this.#closing.abort()
  }

  async close(): Promise<void> {
    this.endFollowers()
    this.#hideGauge()
    await this.#opening
    await this.#coordinator?.close()
  }

  get #reached(): Coordinator {
    if (this.#coordinator) return this.#coordinator
    throw coordinationError(
      'BANYAN_COORDINATOR_UNAVAILABLE',
      `the coordinator cannot be reached: ${this.#problem ?? 'it is being opened'}`,
    )
  }

  async #open(): Promise<void> {
    const coordinator = await openCoordinator(this.#spec, { runtime: this.#runtime })
    this.#coordinator = coordinator
    this.#problem = undefined
    const { driver, shared, durable } = coordinator.capabilities
    this.#write('info', 'coordinator open', { driver, shared, durable })
    for (const use of this.#whenReached.splice(0)) use(coordinator)
    await this.#look()
  }

  async #keepOpening(first: Promise<void>): Promise<void> {
    const { clock, random } = this.#runtime
    const { signal } = this.#closing
    for (let failures = 1, opened = first; ; failures++, opened = this.#open()) {
      try {
        await opened
        return
      } catch (error) {
        this.#problem = messageOf(error)
      }
      await sleep(clock, backoffWait(RETRY, failures, 'equal', random), signal).catch(() => undefined)
      if (signal.aborted) return
    }
  }

  #away(problem: string): void {
    this.#problem = problem
    this.#write('warn', `the coordinator cannot be reached and is tried again: ${problem}`, {
      driver: this.#spec.driver,
    })
  }

  /** Asks whether it answers. */
  async #look(): Promise<void> {
    const { clock } = this.#runtime
    const asked = (this.#askedAt = clock.now())
    if (!this.#coordinator) return
    try {
      const answer = await raceWithTimer(clock, this.#coordinator.get(PROBE), PATIENCE_MS)
      if (isPassed(answer)) throw new Error(`it has not answered for ${formatDuration(PATIENCE_MS)}`)
      this.#latency = clock.now() - asked
      this.#problem = undefined
    } catch (error) {
      this.#problem = messageOf(error)
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
