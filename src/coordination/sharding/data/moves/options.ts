import { duration, type Duration } from '../../../../core/duration.js'
import { checkOptions, type OptionTable } from '../../../../core/options.js'

/** Options of `runMoves`. */
export interface RunMovesOptions {
  /** How many rows are copied in a second, at most. Default: as fast as it goes. */
  rate?: number
  /** Asked between pages; while it says true nothing is copied: such as while writes are slow. */
  hold?: () => boolean | Promise<boolean>
  /** How many rows are read at once, at most. Default 500. */
  page?: number
  /** How long buckets are blocked before a switch is given up and tried later, in ms. Default `'2s'`. */
  blockFor?: Duration
  /** How often a switched move is brought up to date, so that it can be reversed, and what has failed is tried again, in ms. Default `'1s'`. */
  every?: Duration
  /** How long an executor that is gone keeps others out, in ms. Default `'10s'`. */
  ttl?: Duration
  /** Who operators see; default `host:pid`. */
  holder?: string
  /** Whether to end when there is nothing left to do, other than to keep switched moves up to date. Default false. */
  once?: boolean
}

export const runMovesOptions: OptionTable<RunMovesOptions> = {
  rate: { kind: 'number', min: 1, doc: 'how many rows are copied in a second' },
  hold: { kind: 'code', type: 'function', doc: 'while it says true nothing is copied' },
  page: { kind: 'number', min: 1, integer: true, doc: 'how many rows are read at once' },
  blockFor: { kind: 'duration', min: 1, doc: 'how long buckets are blocked' },
  every: { kind: 'duration', min: 1, doc: 'how often a switched move is brought up to date' },
  ttl: { kind: 'duration', min: 1, doc: 'how long an executor that is gone keeps others out' },
  holder: { kind: 'string', doc: 'who operators see' },
  once: { kind: 'boolean', doc: 'whether to end when there is nothing left to do' },
}

/** Options with their defaults. */
export interface MoveSettings {
  /** Rows in a second. */
  readonly rate: number
  readonly hold: RunMovesOptions['hold']
  readonly page: number
  /** ms */
  readonly blockFor: number
  /** ms */
  readonly every: number
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function moveSettings(options: RunMovesOptions): MoveSettings {
  checkOptions('runMoves', runMovesOptions, options)
  const { rate = Infinity, hold, page = 500, blockFor = '2s', every = '1s' } = options
  return { rate, hold, page, blockFor: duration(blockFor), every: duration(every) }
}
