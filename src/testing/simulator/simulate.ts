import { duration, type Duration } from '../../core/duration.js'
import { replayHint, seedOfEnvironment } from '../seed.js'
import type { Faults } from './faults.js'
import { SimulatedWorld, type World } from './world.js'

/** Options of {@link simulate}. */
export interface SimulateOptions {
  /** How many runs, each with a seed of its own; default 100. `BANYAN_SEED` runs that one seed instead. */
  seeds?: number
  /** The first seed; default 1. */
  firstSeed?: number
  /** What goes wrong, how often; in each run some faults are left out. Defaults in {@link LogFaults} and {@link NodeFaults}. */
  faults?: Faults
  /** The longest virtual time of a run; default `'1h'`. */
  timeLimit?: Duration
  /** How many things may happen in a run; default 200,000. */
  stepLimit?: number
  /** One run: makes logs and nodes, lets time go by, and throws if something is not as it must be. */
  run: (world: World) => Promise<void>
}

/** What was simulated. */
export interface Simulated {
  readonly seeds: number
  /** Things that happened, over all runs. */
  readonly steps: number
  /** Virtual time, over all runs, in ms. */
  readonly time: number
  /** What happened in the last run. */
  readonly trace: readonly string[]
}

/** A run that failed. */
export class SimulationError extends Error {
  /** Gives the same run again. */
  readonly seed: number
  /** Everything that happened, a line each. */
  readonly trace: readonly string[]

  constructor(seed: number, trace: readonly string[], shown: number, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause)
    const end = trace.slice(-shown)
    const left = trace.length - end.length
    super(
      `seed ${seed}: ${why}\n${replayHint(seed)}${left > 0 ? ', with the whole trace' : ''}. What happened:\n` +
        `${left > 0 ? `(${left} lines before)\n` : ''}${end.join('\n')}`,
      { cause },
    )
    this.name = 'SimulationError'
    this.seed = seed
    this.trace = trace
  }
}

const SHOWN_LINES = 60

/**
 * Runs a scenario again and again, with another seed each time: what crashes, when, which messages are late or lost, is
 * drawn from the seed. All time is virtual, so that thousands of runs are seconds, and a run that fails is the same each
 * time it is run.
 *
 * The scenario must take time and chance from the world and its nodes alone: no timers, files, sockets or `Math.random`.
 *
 * @throws {@link SimulationError} with the seed and the trace of the first run that failed
 */
export async function simulate(options: SimulateOptions): Promise<Simulated> {
  const { seeds = 100, firstSeed = 1, faults = {}, timeLimit = '1h', stepLimit = 200_000, run } = options
  const one = seedOfEnvironment()
  const first = one ?? firstSeed
  const count = one === undefined ? seeds : 1
  const limits = { until: duration(timeLimit, 'timeLimit'), steps: stepLimit }
  let steps = 0
  let time = 0
  let trace: readonly string[] = []
  for (let seed = first; seed < first + count; seed++) {
    const world = new SimulatedWorld(seed, faults)
    trace = world.trace
    try {
      const running = Promise.race([run(world), world.failure])
      await world.clock.run(running, limits)
      await running
    } catch (error) {
      throw new SimulationError(seed, trace, one === undefined ? SHOWN_LINES : Infinity, error)
    }
    steps += world.clock.steps
    time += world.clock.now()
  }
  return { seeds: count, steps, time, trace }
}
