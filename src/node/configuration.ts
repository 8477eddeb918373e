import { createHash } from 'node:crypto'
import type { Clock } from '../core/clock.js'
import type { Counter, Telemetry } from '../core/telemetry.js'
import type { ConfigProblem } from './config/problem.js'
import type { NodeSpec } from './spec.js'

/** Who asked for a configuration: the start, a signal, a change of the file, an operator, or the program itself. */
export type Trigger = 'start' | 'signal' | 'watch' | 'admin' | 'program'

/** Where a configuration comes from. */
export interface Origin {
  by: Trigger
  /** The file it was read from; absent if it was handed over. */
  file?: string | undefined
}

/** What `GET /api/state` tells of the configuration. */
export interface ConfigurationState {
  /** Counts the configurations that came into force since the start, from 1. */
  generation: number
  /** The same for the same content, on every node; 12 hexadecimal digits of a SHA-256. */
  hash: string
  /** When it came into force; ISO 8601. */
  since: string
  by: Trigger
  file?: string | undefined
  /** The last configuration asked for, if it was refused. */
  refused?: { at: string; by: Trigger; file?: string | undefined; problems: readonly ConfigProblem[] }
}

/** Which configuration is in force, and what became of the last one asked for. */
export class Configuration {
  readonly #clock: Clock
  readonly #changes: Counter
  #state: ConfigurationState

  constructor(spec: NodeSpec, origin: Origin, clock: Clock, telemetry: Telemetry) {
    this.#clock = clock
    this.#state = { generation: 1, hash: hashOf(spec), since: this.#time(), ...origin }
    this.#changes = telemetry.counter('banyan.config.changes', {
      description: 'Configurations asked for while the node runs, by what became of them and who asked.',
      unit: '{change}',
    })
    telemetry.gauge(
      'banyan.config.generation',
      { description: 'Number of the configuration in force, from 1 at the start.' },
      () => this.#state.generation,
    )
    telemetry.gauge(
      'banyan.config.refused',
      { description: 'Whether the last configuration asked for was refused: 1 if so, 0 if not.' },
      () => (this.#state.refused ? 1 : 0),
    )
  }

  get state(): ConfigurationState {
    return this.#state
  }

  /** The one asked for is in force. */
  applied(spec: NodeSpec, origin: Origin): void {
    this.#state = {
      generation: this.#state.generation + 1,
      hash: hashOf(spec),
      since: this.#time(),
      ...origin,
    }
    this.#count('applied', origin)
  }

  /** The one asked for was in force already. */
  unchanged(origin: Origin): void {
    const state = { ...this.#state }
    delete state.refused
    this.#state = state
    this.#count('unchanged', origin)
  }

  refused(origin: Origin, problems: readonly ConfigProblem[]): void {
    this.#state = { ...this.#state, refused: { at: this.#time(), ...origin, problems } }
    this.#count('refused', origin)
  }

  #count(outcome: string, { by }: Origin): void {
    this.#changes.add(1, { 'banyan.outcome': outcome, 'banyan.trigger': by })
  }

  #time(): string {
    return new Date(this.#clock.wall()).toISOString()
  }
}

/** The same for the same content, whatever the order of its names; but the order of routes decides, and so counts. */
export function hashOf(spec: NodeSpec): string {
  const canonical = JSON.stringify([sorted(spec), Object.keys(spec.routes)])
  return createHash('sha256').update(canonical).digest('hex').slice(0, 12)
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value)
    .map(([name, each]: [string, unknown]): [string, unknown] => [name, sorted(each)])
    .sort(([a], [b]) => (a < b ? -1 : 1))
}
