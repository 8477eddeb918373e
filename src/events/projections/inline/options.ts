import { duration, type Duration } from '../../../core/duration.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'

/** How appends handle projections inline. */
export interface InlineOptions {
  /**
   * How long an append waits for a read model that is far behind, and for what cannot be reached. Default `'10s'`.
   */
  wait?: Duration
  /** How long one call of an asynchronous handler may take. Default `'5s'`. */
  timeout?: Duration
  /** Events of others that an append handles first, at most. Default 2,000. */
  batch?: number
}

const OPTIONS: OptionTable<InlineOptions> = {
  wait: { kind: 'duration', doc: 'how long an append waits for a read model that is far behind' },
  timeout: { kind: 'duration', min: 1, doc: 'how long a call of a handler may take' },
  batch: { kind: 'number', min: 1, integer: true, doc: 'events of others that an append handles first' },
}

/** The same with every default, durations in ms. */
export interface InlineSettings {
  readonly wait: number
  readonly timeout: number
  readonly batch: number
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function inlineSettings(options: InlineOptions): InlineSettings {
  checkOptions('inline', OPTIONS, options)
  return {
    wait: duration(options.wait ?? '10s'),
    timeout: duration(options.timeout ?? '5s'),
    batch: options.batch ?? 2000,
  }
}
