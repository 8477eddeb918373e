import type { Growth } from '../../../core/backoff.js'
import { duration, type Duration } from '../../../core/duration.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import type { Selection } from '../../resources/api.js'

/** Options of {@link informer}. */
export interface InformerOptions extends Selection {
  /** Before it asks again after a failure, growing with each failure in a row. */
  backoff?: InformerBackoff
  /** How long a watch goes on before it is begun anew, in case that nobody is at its other end; up to twice as long. Default `'5m'`. */
  watchFor?: Duration
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

/** See {@link InformerOptions.backoff}. */
export interface InformerBackoff {
  /** In ms or as text. Default `'100ms'`. */
  base?: Duration
  /** Default 2. */
  factor?: number
  /** In ms or as text. Default `'30s'`. */
  max?: Duration
}

const OPTIONS: OptionTable<InformerOptions> = {
  namespace: { kind: 'string', doc: 'Only in this namespace.' },
  labelSelector: { kind: 'string', doc: 'Only with such labels.' },
  fieldSelector: { kind: 'string', doc: 'Only with such fields.' },
  backoff: {
    kind: 'group',
    doc: 'Before it asks again after a failure.',
    options: {
      base: { kind: 'duration', min: 1, doc: 'The first wait. Default 100ms.' },
      factor: { kind: 'number', min: 1, max: 100, doc: 'By how much it grows. Default 2.' },
      max: { kind: 'duration', min: 1, doc: 'The longest wait. Default 30s.' },
    },
  },
  watchFor: {
    kind: 'duration',
    min: 1,
    doc: 'How long a watch goes on before it is begun anew. Default 5m.',
  },
  runtime: { kind: 'code', type: 'object', doc: 'Time, chance and telemetry.' },
}

/** Options with their defaults, in ms. */
export interface InformerSettings {
  readonly selection: Selection
  readonly backoff: Growth
  readonly watchFor: number
  readonly runtime: Runtime
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function settingsOf(options: InformerOptions): InformerSettings {
  checkOptions('informer', OPTIONS, options)
  const { namespace, labelSelector, fieldSelector, backoff = {}, watchFor = '5m' } = options
  const base = duration(backoff.base ?? '100ms')
  return {
    selection: {
      ...(namespace !== undefined && { namespace }),
      ...(labelSelector !== undefined && { labelSelector }),
      ...(fieldSelector !== undefined && { fieldSelector }),
    },
    backoff: { base, factor: backoff.factor ?? 2, max: Math.max(base, duration(backoff.max ?? '30s')) },
    watchFor: duration(watchFor),
    runtime: options.runtime ?? systemRuntime,
  }
}
