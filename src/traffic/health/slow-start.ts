import { duration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'

/** How an endpoint that is new, or back, comes to its whole load. */
export interface SlowStartOptions {
  /** Time until it takes all of its weight, in ms or as text. */
  over: Duration
  /** How the load grows: 1 evenly, more than 1 faster at first, below 1 slower at first. Default 1. */
  aggression?: number
  /** Share of its weight that it takes at once, above 0 to 1. Default 0.1. */
  minimum?: number
}

/** What `slowStart` accepts. */
export const slowStartOptions: OptionTable<SlowStartOptions> = {
  over: { kind: 'duration', doc: 'Time until an endpoint takes all of its weight.' },
  aggression: {
    kind: 'number',
    min: 0.1,
    max: 10,
    doc: 'Above 1 the load grows faster at first. Default 1.',
  },
  minimum: { kind: 'number', min: 0.001, max: 1, doc: 'Share of its weight taken at once. Default 0.1.' },
}

/** Says how much of its weight an endpoint takes; the curve of Envoy. */
export class SlowStart {
  readonly over: number
  readonly #exponent: number
  readonly #minimum: number

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
  constructor(options: SlowStartOptions) {
    checkOptions('slowStart', slowStartOptions, options)
    this.over = duration(options.over, 'slowStart.over')
    this.#exponent = 1 / (options.aggression ?? 1)
    this.#minimum = options.minimum ?? 0.1
  }

  /**
   * @param elapsed - ms since the endpoint came
   * @returns the share of its weight, above 0 to 1
   */
  share(elapsed: number): number {
    if (elapsed >= this.over) return 1
    return Math.max(this.#minimum, (Math.max(0, elapsed) / this.over) ** this.#exponent)
  }
}
