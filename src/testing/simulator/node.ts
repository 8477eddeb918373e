import { sleep, type Clock } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import type { Coordinator } from '../../coordination/coordinator.js'
import { DriverCoordinator } from '../../coordination/driver-coordinator.js'
import type { Runtime } from '../../core/runtime.js'
import { noTelemetry } from '../../core/telemetry.js'
import { DriverLog, type LogOptions } from '../../events/event-log.js'
import type { EventLog } from '../../events/log.js'
import type { ResourceApi } from '../../coordination/resources/api.js'
import { clockAtRate } from '../coordination/kit.js'
import { faultyCoordinator, type CoordinatorFaults } from '../coordination/faulty-coordinator.js'
import { connection, type Wire } from './connection.js'
import { coordinatorConnection } from './coordinator-connection.js'
import { faultRates } from './faults.js'
import { faultyLog } from './faulty-log.js'
import { faultyResources, type ResourceFaults } from '../resources/faulty-resources.js'
import { resourcesConnection } from './resources-connection.js'
import type { SimulatedCoordination, SimulatedLog, WorldContext } from './world-context.js'

/** A program and the machine it runs on, from its start to its end or its crash. */
export interface SimulatedNode {
  readonly name: string
  /** How often it has been started, this time included. */
  readonly starts: number
  /** Time and chance of this node; give it to everything that takes a `runtime`. */
  readonly runtime: Runtime
  /** Opens a log over a connection that fails as {@link faultyLog} does. */
  readonly open: (log: SimulatedLog, options?: Omit<LogOptions, 'runtime'>) => EventLog
  /**
   * Opens a coordinator over a connection that fails as {@link faultyCoordinator} does.
   *
   * @param faults - besides those of the simulation
   */
  readonly coordinate: (coordination: SimulatedCoordination, faults?: CoordinatorFaults) => Coordinator
  /**
   * Resources over a connection that fails as {@link faultyResources} does.
   *
   * @param faults - besides those of the simulation
   */
  readonly reach: (resources: ResourceApi, faults?: ResourceFaults) => ResourceApi
  /** Waits; the node may crash meanwhile. Without a time it only gives it the occasion. */
  readonly sleep: (time?: Duration) => Promise<void>
  /** An id that is the same when the seed is. */
  readonly id: () => string
  /** Writes a line into the trace. */
  readonly note: (text: string) => void
}

/** What runs on a node. It is started anew after each crash, with nothing in its memory. */
export type Program = (node: SimulatedNode) => Promise<void>

/** How one node differs. */
export interface NodeOptions {
  /** How fast its clocks run; default 1. */
  clockRate?: number
}

/** A node from outside. */
export interface NodeHandle {
  readonly name: string
  /** `up` while its program runs, `down` between a crash and the next start, `done` when the program has ended. */
  readonly state: 'up' | 'down' | 'done'
  /** Crashes it now; it is started again after a while. */
  readonly crash: () => void
  /** Starts it now, if it is down. */
  readonly start: () => void
}

/** When a program is started again that ended by itself while nothing went wrong, in ms. */
const RESTART_MS = 100

/** Runs a program on a machine that can crash. */
export class Machine implements NodeHandle {
  readonly name: string
  readonly #program: Program
  readonly #world: WorldContext
  readonly #clock: Clock
  #state: NodeHandle['state'] = 'down'
  #life: Life | undefined
  #starts = 0
  #ending = 'has not started'

  constructor(name: string, program: Program, world: WorldContext, { clockRate = 1 }: NodeOptions = {}) {
    this.name = name
    this.#program = program
    this.#world = world
    this.#clock = clockRate === 1 ? world.clock : clockAtRate(world.clock, clockRate)
  }

  get state(): NodeHandle['state'] {
    return this.#state
  }

  /** Its state in words. */
  get condition(): string {
    return this.#starts > 1 || this.#state === 'down'
      ? `${this.name} is ${this.#state}, started ${this.#starts} times, last it ${this.#ending}`
      : `${this.name} is ${this.#state}`
  }

  readonly start = (): void => {
    if (this.#state !== 'down') return
    this.#state = 'up'
    this.#world.record(this.name, ++this.#starts === 1 ? 'starts' : 'starts again')
    const life = new Life(this.name, this.#starts, this.#world, this.#clock, () => this.#end(life, 'crashes'))
    this.#life = life
    void Promise.resolve()
      .then(() => this.#program(life))
      .then(
        () => {
          if (!life.isAlive) return
          this.#state = 'done'
          this.#world.record(this.name, 'is done')
        },
        (error: unknown) => this.#failed(life, error),
      )
  }

  readonly crash = (): void => {
    if (this.#life) this.#end(this.#life, 'is crashed')
  }

  /** A fault that the program lets through ends its process; whoever looks after processes starts it again. */
  #failed(life: Life, error: unknown): void {
    if (!life.isAlive) return
    if (error instanceof BanyanError) this.#end(life, `ends with ${error.code}`)
    else this.#world.fail(error)
  }

  #end(life: Life, how: string): void {
    if (!life.isAlive || this.#state !== 'up') return
    life.isAlive = false
    this.#state = 'down'
    this.#ending = how
    this.#world.record(this.name, how)
    const { clock, random, rates } = this.#world
    const downtime = this.#world.isStormy() ? random.below(rates.downtime) : RESTART_MS
    clock.schedule(clock.now() + downtime, this.start)
  }
}

/** One life of a node: everything that ends with it. */
class Life implements SimulatedNode, Wire {
  readonly name: string
  readonly starts: number
  readonly runtime: Runtime
  isAlive = true
  readonly #world: WorldContext
  readonly #crash: () => void
  #stalledUntil = 0
  #ids = 0

  constructor(name: string, starts: number, world: WorldContext, clock: Clock, crash: () => void) {
    this.name = name
    this.starts = starts
    this.#world = world
    this.#crash = crash
    const { random, rates } = world
    const skew = Math.round((random.below(2001) / 1000 - 1) * rates.clockSkew)
    const own: Clock = {
      now: () => clock.now(),
      wall: () => clock.wall() + skew,
      schedule: (at, callback) => clock.schedule(at, () => this.deliver(callback)),
    }
    this.runtime = { clock: own, random: world.source, telemetry: noTelemetry }
  }

  readonly open = (log: SimulatedLog, options: Omit<LogOptions, 'runtime'> = {}): EventLog => {
    const { clock, source, faults, isStormy } = this.#world
    const faulty = faultyLog(log.driver, { clock, random: source, faults, active: isStormy, note: this.note })
    return new DriverLog(connection(faulty, this), { ...options, runtime: this.runtime })
  }

  readonly coordinate = ({ driver }: SimulatedCoordination, faults: CoordinatorFaults = {}): Coordinator => {
    const { clock, source, faults: shared, isStormy } = this.#world
    const { delay, refuse, loseAnswer, failRead, wakeForNothing } = faultRates(shared)
    const faulty = faultyCoordinator(driver, {
      clock,
      random: source,
      faults: { delay, refuse, loseAnswer, failRead, wakeForNothing, ...faults },
      active: isStormy,
      note: this.note,
    })
    return new DriverCoordinator(coordinatorConnection(faulty, this), { runtime: this.runtime })
  }

  readonly reach = (resources: ResourceApi, faults: ResourceFaults = {}): ResourceApi => {
    const { clock, source, faults: shared, isStormy } = this.#world
    const { delay, refuse, loseAnswer, failRead } = faultRates(shared)
    const faulty = faultyResources(resources, {
      clock,
      random: source,
      faults: { delay, refuse, loseAnswer, failRead, ...faults },
      active: isStormy,
      note: this.note,
    })
    return resourcesConnection(faulty, this)
  }

  readonly sleep = (time: Duration = 0): Promise<void> => {
    this.send()
    return sleep(this.runtime.clock, duration(time))
  }

  readonly id = (): string => `${this.name}-${this.starts}-${++this.#ids}`

  readonly note = (text: string): void => {
    if (this.isAlive) this.#world.record(this.name, text)
  }

  readonly send = (): void => {
    const { clock, random, rates, isStormy } = this.#world
    if (!isStormy()) return
    // Some time after it was sent: the request may have been done by then, or may still be on its way.
    if (random.chance(rates.crash))
      clock.schedule(clock.now() + random.below(2 * rates.delay + 1), () => {
        if (isStormy()) this.#crash()
      })
    if (!random.chance(rates.stall)) return
    const time = random.below(rates.stallTime)
    this.note(`stands still for ${time} ms`)
    this.#stalledUntil = Math.max(this.#stalledUntil, clock.now() + time)
  }

  readonly deliver = (hand: () => void): void => {
    if (!this.isAlive) return
    const { clock } = this.#world
    if (this.#stalledUntil <= clock.now()) hand()
    else clock.schedule(this.#stalledUntil, () => this.deliver(hand))
  }
}
