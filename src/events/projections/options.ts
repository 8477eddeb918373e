import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { OwnedPart } from '../owned-part.js'

/** How a projection runs. */
export interface RunOptions {
  /**
   * What follows when an event has failed so often as `attempts` says. `stop`: the projector ends with
   * `BANYAN_PROJECTION_FAILED`. `park`: the event is set aside, and so are later ones of its stream; the rest goes on. A
   * rebuild always stops. Default `stop`.
   */
  onError?: 'stop' | 'park'
  /** How often an event is tried. Default 5. What cannot be reached is tried without end. */
  attempts?: number
  /** How long one call of an asynchronous handler may take. Default `'5s'`. */
  timeout?: Duration
  /**
   * How long the checkpoint of another process may stand still, although there is something to do, before this one takes
   * the projection over. Default `'10s'`.
   */
  takeover?: Duration
  /** Events of one transaction, at most. Default 2,000. */
  batch?: number
  /** After how long a transaction begins no further event: so long others wait for the event loop. Default `'10ms'`. */
  transactionTime?: Duration
  /** Whether to go on where events were truncated before they were read. Default false. */
  allowTruncated?: boolean
  /**
   * As whose holder it runs: the term of an election, a bucket of a shard map, anything with a token that rises. Who has a higher
   * one takes the projection over at once; who has a lower one ends with `BANYAN_STALE_TOKEN`, and has changed nothing. A run
   * without a fence is as good as any other, and takes the fence away.
   */
  fence?: RunFence
  /**
   * Of a projection with `buckets`: for which of them it runs, and until when; what `own` of the worker of a shard map is given.
   * It is the fence, too.
   */
  part?: OwnedPart
  /** Closes the projector. */
  signal?: AbortSignal
}

/** What is held by who runs a projection. */
export interface RunFence {
  /** Higher than that of every holder before: a whole number of at least 1. */
  readonly token: number
  /** Closes the projector. */
  readonly signal?: AbortSignal
  /** Asked before each transaction and each side effect. @throws if it is over, by the clock */
  check?(): void
}

const OPTIONS: OptionTable<RunOptions> = {
  onError: { kind: 'choice', values: ['stop', 'park'], doc: 'what follows when an event fails' },
  attempts: { kind: 'number', min: 1, integer: true, doc: 'how often an event is tried' },
  timeout: { kind: 'duration', min: 1, doc: 'how long a call of a handler may take' },
  takeover: { kind: 'duration', min: 1, doc: 'how long the checkpoint of another may stand still' },
  batch: { kind: 'number', min: 1, integer: true, doc: 'events of one transaction' },
  transactionTime: { kind: 'duration', doc: 'after how long a transaction begins no further event' },
  allowTruncated: { kind: 'boolean', doc: 'whether to go on where events were truncated' },
  fence: { kind: 'code', type: 'object', doc: 'what is held by who runs it' },
  part: { kind: 'code', type: 'object', doc: 'for which bucket it runs' },
  signal: { kind: 'code', type: 'object', doc: 'closes the projector' },
}

/** The same with every default, durations in ms. */
export interface RunSettings {
  readonly onError: 'stop' | 'park'
  readonly attempts: number
  readonly timeout: number
  readonly takeover: number
  readonly batch: number
  readonly transactionTime: number
  readonly allowTruncated: boolean
  readonly fence: RunFence | undefined
  readonly signal: AbortSignal | undefined
}

function fenceOf(part: OwnedPart): RunFence {
  return {
    token: part.epoch,
    signal: part.signal,
    check: () => {
      if (!part.held) throw new Error(`the bucket ${part.bucket} is not this process's any more`)
    },
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function runSettings(owner: string, options: RunOptions): RunSettings {
  checkOptions(owner, OPTIONS, options)
  if (options.part && options.fence)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${owner}: a part is its own fence; leave out fence`)
  const fence = options.part ? fenceOf(options.part) : options.fence
  if (fence && !(Number.isSafeInteger(fence.token) && fence.token >= 1))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${owner}: the token of the fence must be a whole number of at least 1, got ${String(fence.token)}`,
    )
  return {
    onError: options.onError ?? 'stop',
    attempts: options.attempts ?? 5,
    timeout: duration(options.timeout ?? '5s'),
    takeover: duration(options.takeover ?? '10s'),
    batch: options.batch ?? 2000,
    transactionTime: duration(options.transactionTime ?? '10ms'),
    allowTruncated: options.allowTruncated ?? false,
    fence,
    signal: options.signal,
  }
}
