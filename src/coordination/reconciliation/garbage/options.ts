import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import type { ControllerElection } from '../controller/options.js'
import type { Informers } from '../informer/informers.js'

/** Options of {@link garbageCollector}. */
export interface GarbageCollectorOptions {
  /** Only the leader of all collectors works. Default: this one works in any case. */
  election?: ControllerElection
  /** Caches to share with controllers of the same API; they stay open. Default: its own. */
  informers?: Informers
  /** How many resources are looked at at the same time; default 4. */
  concurrency?: number
  /** After how long what waits for its finalizers is told as a problem, in ms or as text. Default `'5m'`. */
  stuckAfter?: Duration
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<GarbageCollectorOptions> = {
  election: { kind: 'code', type: 'object', doc: 'Only the leader works.' },
  informers: { kind: 'code', type: 'object', doc: 'Caches to share.' },
  concurrency: {
    kind: 'number',
    integer: true,
    min: 1,
    max: 10_000,
    doc: 'Resources that are looked at at once.',
  },
  stuckAfter: { kind: 'duration', min: 1, doc: 'After how long finalizers are a problem. Default 5m.' },
  runtime: { kind: 'code', type: 'object', doc: 'Time, chance and telemetry.' },
}

/** Options with their defaults, in ms. */
export interface GarbageSettings {
  readonly election: ControllerElection | undefined
  readonly informers: Informers | undefined
  readonly concurrency: number
  readonly stuckAfter: number
  readonly runtime: Runtime
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function settingsOf(options: GarbageCollectorOptions): GarbageSettings {
  checkOptions('garbageCollector', OPTIONS, options)
  const { election, informers, concurrency = 4, stuckAfter = '5m', runtime = systemRuntime } = options
  if (election && (election.coordinator as unknown) === undefined)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'garbageCollector: election.coordinator is missing')
  return { election, informers, concurrency, stuckAfter: duration(stuckAfter), runtime }
}
