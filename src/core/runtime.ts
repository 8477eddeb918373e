import { systemClock, type Clock } from './clock.js'
import { systemRandom, type Random } from './random.js'
import { stderrTelemetry } from './stderr-telemetry.js'
import type { Telemetry } from './telemetry.js'

/**
 * What a pattern takes from the world: time, chance, and a place to report to. Everything accepts a `runtime`;
 * tests pass `virtualRuntime()` of `banyan/testing`.
 */
export interface Runtime {
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
}

/** Real time, `Math.random`, warnings and errors to stderr, no metrics; the default. */
export const systemRuntime: Runtime = { clock: systemClock, random: systemRandom, telemetry: stderrTelemetry }
