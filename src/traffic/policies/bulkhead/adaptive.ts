import { BanyanError } from '../../../core/errors.js'
import type { OptionTable } from '../../../core/options.js'
import { AimdLimit } from './aimd-limit.js'
import { GradientLimit } from './gradient-limit.js'
import type { Limit } from './limit.js'

/** A concurrency limit that finds itself. */
export interface AdaptiveOptions {
  /**
   * `gradient` follows latency: the limit falls as soon as calls take longer than they need to. `aimd` follows
   * failures: the limit grows by one until calls fail or time out, then falls by a tenth.
   */
  adaptive: 'gradient' | 'aimd'
  /** Limit to begin with, from `minimum` to `maximum`. Default 20, or the nearest that these allow. */
  initial?: number
  /** Lowest limit; no more than an endpoint in trouble can bear. Default 1. */
  minimum?: number
  /** Highest limit. Default 1000. */
  maximum?: number
  /** `gradient` only: latency up to so many times the usual one is no sign of overload, 1 to 10. Default 1.5. */
  tolerance?: number
}

/** What an adaptive limit accepts. */
export const adaptiveOptions: OptionTable<AdaptiveOptions> = {
  adaptive: {
    kind: 'choice',
    values: ['gradient', 'aimd'],
    doc: 'How the limit is found: by latency, or by failures.',
  },
  initial: { kind: 'number', min: 1, integer: true, doc: 'Limit to begin with. Default 20.' },
  minimum: { kind: 'number', min: 1, integer: true, doc: 'Lowest limit. Default 1.' },
  maximum: { kind: 'number', min: 1, integer: true, doc: 'Highest limit. Default 1000.' },
  tolerance: {
    kind: 'number',
    min: 1,
    max: 10,
    doc: 'Latency of so many times the usual is fine. Default 1.5.',
  },
}

/**
 * A limit of the kind that the options name.
 *
 * @throws `BanyanError` (`BANYAN_INVALID_OPTIONS`) for options that contradict each other
 */
export function adaptiveLimit(options: AdaptiveOptions): Limit {
  const { adaptive, minimum = 1, maximum = 1000 } = options
  const { initial = Math.min(maximum, Math.max(minimum, 20)), tolerance = 1.5 } = options
  const refuse = (why: string): never => {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `bulkhead: concurrency.${why}`)
  }
  if ((adaptive as string | undefined) === undefined)
    refuse('adaptive is needed: "gradient", "aimd", or a number instead of all this')
  if (minimum > maximum) refuse(`minimum is ${minimum}, above maximum, which is ${maximum}`)
  if (initial < minimum || initial > maximum)
    refuse(`initial is ${initial}, not between minimum and maximum, which are ${minimum} and ${maximum}`)
  if (adaptive === 'gradient') return new GradientLimit(initial, minimum, maximum, tolerance)
  if (options.tolerance !== undefined)
    refuse('tolerance belongs to "gradient"; "aimd" does not look at latency')
  return new AimdLimit(initial, minimum, maximum)
}
