import { sleep, type Clock } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { seededRandom, type Random } from '../../core/random.js'
import { noTelemetry } from '../../core/telemetry.js'
import type { CoordinatorDriver } from '../../coordination/driver.js'
import { DriverCoordinator } from '../../coordination/driver-coordinator.js'
import { memoryCoordinator } from '../../drivers/memory/coordinator.js'
import { memoryLog } from '../../drivers/memory/log.js'
import type { LogDriver } from '../../events/driver.js'
import { DriverLog } from '../../events/event-log.js'
import { choices, type Choices } from '../seed.js'
import { LATE_FACTOR } from './faulty-log.js'
import { faultRates, type FaultRates, type Faults } from './faults.js'
import { Machine, type NodeHandle, type NodeOptions, type Program } from './node.js'
import { Scheduler } from './scheduler.js'
import type { SimulatedCoordination, SimulatedLog, WorldContext } from './world-context.js'

const WALL_START = Date.UTC(2026, 0, 1)
/** How often `calm` looks whether it is what it waits for, in ms. */
const LOOK_MS = 5

/** Everything of one run: nodes, logs, time, chance, and what goes wrong. */
export interface World {
  readonly seed: number
  readonly clock: Clock
  /** Choices by the seed. */
  readonly random: Choices
  /** Makes a log. Default one in memory; any driver that takes no real time may be given. */
  readonly log: (driver?: LogDriver) => SimulatedLog
  /** Makes the engine of a coordinator. Default one in memory; any driver that takes no real time may be given. */
  readonly coordination: (driver?: CoordinatorDriver) => SimulatedCoordination
  /** Starts a program on a node of its own. */
  readonly node: (name: string, program: Program, options?: NodeOptions) => NodeHandle
  /** Lets time go by, while things go wrong. */
  readonly storm: (time: Duration) => Promise<void>
  /**
   * Nothing goes wrong any more, and every node is up; waits until it is as it should be.
   *
   * @param within - the longest time, default `'10m'`; it takes no real one
   * @throws if it is still not as it should be then
   */
  readonly calm: (isDone?: () => boolean | Promise<boolean>, within?: Duration) => Promise<void>
  /** Writes a line into the trace. */
  readonly note: (text: string) => void
}

/** One world with everything that {@link simulate} needs of it. */
export class SimulatedWorld implements World, WorldContext {
  readonly seed: number
  readonly clock: Scheduler
  readonly source: Random
  readonly random: Choices
  readonly rates: FaultRates
  readonly faults: Faults
  readonly trace: string[] = []
  readonly failure: Promise<never>
  readonly #machines: Machine[] = []
  #stormy = true
  #fail: (error: unknown) => void = () => undefined

  constructor(seed: number, faults: Faults) {
    this.seed = seed
    this.source = seededRandom(seed)
    this.random = choices(this.source)
    this.clock = new Scheduler(seededRandom(~seed), WALL_START)
    this.faults = this.#mixed(faults)
    this.rates = faultRates(this.faults)
    this.failure = new Promise((_, reject) => {
      this.#fail = reject
    })
    this.failure.catch(() => undefined)
  }

  readonly isStormy = (): boolean => this.#stormy

  readonly fail = (error: unknown): void => this.#fail(error)

  readonly log = (driver: LogDriver = memoryLog()): SimulatedLog => ({
    driver,
    truth: new DriverLog(driver, {
      runtime: { clock: this.clock, random: this.source, telemetry: noTelemetry },
    }),
  })

  readonly coordination = (
    driver: CoordinatorDriver = memoryCoordinator({ clock: this.clock }),
  ): SimulatedCoordination => ({
    driver,
    truth: new DriverCoordinator(driver, {
      runtime: { clock: this.clock, random: this.source, telemetry: noTelemetry },
    }),
  })

  readonly node = (name: string, program: Program, options: NodeOptions = {}): NodeHandle => {
    const machine = new Machine(name, program, this, options)
    this.#machines.push(machine)
    machine.start()
    return machine
  }

  readonly storm = async (time: Duration): Promise<void> => {
    this.#stormy = true
    await sleep(this.clock, duration(time))
  }

  readonly calm = async (
    isDone: () => boolean | Promise<boolean> = () => true,
    within: Duration = '10m',
  ): Promise<void> => {
    this.#stormy = false
    this.note('calm')
    for (const machine of this.#machines) machine.start()
    const until = this.clock.now() + duration(within)
    // What was sent before arrives.
    await sleep(this.clock, this.rates.delay * LATE_FACTOR)
    while (!(await isDone())) {
      if (this.clock.now() > until)
        throw new Error(
          `it is calm for ${duration(within)} ms, and it is still not as it should be: ${isDone.toString()}\n` +
            this.#machines.map(({ condition }) => condition).join('\n'),
        )
      await sleep(this.clock, LOOK_MS)
    }
  }

  readonly note = (text: string): void => this.record('world', text)

  readonly record = (who: string, text: string): void => {
    this.trace.push(`${(this.clock.now() / 1000).toFixed(3).padStart(9)} s  ${who}: ${text}`)
  }

  /**
   * In each run some faults are left out, others come more often: they are found in each other's absence too. (Groce et
   * al., "Swarm testing", ISSTA 2012.)
   */
  #mixed(faults: Faults): Faults {
    const mixed: Record<string, number> = {}
    for (const [name, rate] of Object.entries(faultRates(faults)))
      mixed[name] = rate >= 1 ? rate : Math.min(1, rate * this.random.pick([0, 1, 1, 3]))
    return mixed
  }
}
