import { createHash } from 'node:crypto'
import type { Clock } from '../core/clock.js'
import type { Counter, Telemetry } from '../core/telemetry.js'
import { BanyanError } from '../core/errors.js'
import { summarise, type ConfigChange } from './config/diff.js'
import { formatProblem, type ConfigProblem } from './config/problem.js'
import type { Log } from './log.js'
import type { NodeSpec } from './spec.js'

/** Who asked for a configuration: the start, a signal, a change of the file, an operator, resources, or the program itself. */
export type Trigger = 'start' | 'signal' | 'watch' | 'admin' | 'resources' | 'program'

/** Where a configuration comes from. */
export interface Origin {
  by: Trigger
  /** The file it was read from; absent if it was handed over. */
  file?: string | undefined
}

/** What a change has brought. */
export interface Applied {
  /** The number of the configuration in force. */
  generation: number
  hash: string
  /** Everything that has changed; empty if nothing has, and then the generation is the same. */
  changes: readonly ConfigChange[]
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
  readonly #log: Log
  readonly #changes: Counter
  #state: ConfigurationState
  /** Settles when the last change asked for is decided. */
  #changing: Promise<unknown> = Promise.resolve()

  constructor(spec: NodeSpec, origin: Origin, clock: Clock, telemetry: Telemetry, log: Log) {
    this.#clock = clock
    this.#log = log
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

  /** Makes a change once those that were asked for before are decided, whatever has become of them. */
  inTurn<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#changing.then(change)
    this.#changing = result.catch(() => undefined)
    return result
  }

  /**
   * Checks that a change may be made now.
   *
   * @param phase - of what is to be changed
   * @throws {@link BanyanError} `BANYAN_NOT_RUNNING`, or `BANYAN_STALE_CHANGE` if another generation is in force than
   *   the one it was made for
   */
  expect(phase: string, ifGeneration: number | undefined): void {
    const { generation } = this.#state
    if (phase !== 'ready')
      throw new BanyanError('BANYAN_NOT_RUNNING', `the node is ${phase} and takes no changes`)
    if (ifGeneration !== undefined && ifGeneration !== generation)
      throw new BanyanError(
        'BANYAN_STALE_CHANGE',
        `the change was made for generation ${ifGeneration}, but ${generation} is in force`,
      )
  }

  /** The one asked for is in force; if nothing has changed, it was before. */
  applied(spec: NodeSpec, origin: Origin, changes: readonly ConfigChange[]): Applied {
    if (changes.length === 0) {
      const state = { ...this.#state }
      delete state.refused
      this.#state = state
      this.#count('unchanged', origin)
      this.#log(
        'info',
        `configuration ${state.generation} stays in force: its text says the same as before`,
        { by: origin.by },
      )
    } else {
      const generation = this.#state.generation + 1
      const hash = hashOf(spec)
      this.#state = { generation, hash, since: this.#time(), ...origin }
      this.#count('applied', origin)
      this.#log('info', `configuration ${generation} is in force: ${summarise(changes)}`, {
        hash,
        by: origin.by,
      })
    }
    return { generation: this.#state.generation, hash: this.#state.hash, changes }
  }

  /** One that was asked for is refused, for its errors. */
  refused(origin: Origin, problems: readonly ConfigProblem[]): void {
    const errors = problems.filter(({ severity }) => severity === 'error')
    this.#state = { ...this.#state, refused: { at: this.#time(), ...origin, problems: errors } }
    this.#count('refused', origin)
    for (const problem of errors)
      this.#log('error', `the configuration is refused: ${formatProblem(problem)}`, { by: origin.by })
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
