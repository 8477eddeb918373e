import type { Growth } from '../../core/backoff.js'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { thisHolder } from '../holder.js'
import { checkJson } from './json.js'
import type { ElectionAlgorithm, Standing } from './picture.js'
import type { Term } from './term.js'

/** Options of {@link elect}. */
export interface ElectionOptions {
  /**
   * What the leader does. When the signal aborts, it must end soon: nobody else leads before it has, unless the lease was lost.
   * When it returns, the leader resigns.
   */
  onLead?: (signal: AbortSignal, token: number, term: Term) => unknown
  /** How long a leader that is gone keeps others out, in ms; all of a process with the same share one lease. Default `'10s'`. */
  ttl?: Duration
  /**
   * `queue`: who came first of those with the highest priority leads next. `record`: all race for one key when it is free, with
   * a short wait drawn by chance; one key for each election instead of one for each candidate, no order. `line`: strictly who
   * came first, as in elections of etcd, so that `etcdctl elect` and programs in other languages stand in the same line; who
   * hangs is not passed over. All candidates of an election say the same. Default `'queue'`.
   */
  algorithm?: ElectionAlgorithm
  /** Who operators see; default `host:pid`. */
  holder?: string
  /** What the others are told of the leader, such as its address: anything that JSON can hold. */
  value?: unknown
  /** Higher leads first. Default 0. For `queue`. */
  priority?: number
  /** Where this candidate is. For `queue`. */
  zone?: string
  /** Of candidates with the same priority those in this zone come first; everybody should say the same. For `queue`. */
  preferZone?: string
  /** Whether it asks a leader with a lower priority, or out of the preferred zone, to hand over. Default false. For `queue`. */
  preempt?: boolean
  /**
   * Spreads many elections over processes: a process that leads k elections of its coordinator waits k times this before it
   * takes another one, in ms, up to `ttl`; so one that leads fewer is before it. Default 0: place in line decides alone. Not
   * for `line`.
   */
  spread?: Duration
  /** Whether it is over when `onLead` has returned once, here. Default false: it is a candidate again. */
  once?: boolean
  /** Before it is a candidate again: after `onLead` has failed, growing with each failure in a row; after it has returned, `base`. */
  backoff?: {
    /** In ms. Default `'1s'`. */
    base?: Duration
    /** Default 2. */
    factor?: number
    /** In ms. Default `'1m'`. */
    max?: Duration
  }
}

const OPTIONS: OptionTable<ElectionOptions> = {
  onLead: { kind: 'code', type: 'function', doc: 'what the leader does' },
  ttl: { kind: 'duration', min: 1, doc: 'how long a leader that is gone keeps others out' },
  algorithm: { kind: 'choice', values: ['queue', 'record', 'line'], doc: 'who comes next' },
  holder: { kind: 'string', doc: 'who operators see' },
  value: {
    kind: 'either',
    doc: 'what others are told of the leader',
    of: [
      { kind: 'string', doc: 'text' },
      { kind: 'number', doc: 'a number' },
      { kind: 'boolean', doc: 'true or false' },
      { kind: 'code', type: 'object', doc: 'JSON' },
    ],
  },
  priority: { kind: 'number', doc: 'higher leads first' },
  zone: { kind: 'string', doc: 'where this candidate is' },
  preferZone: { kind: 'string', doc: 'candidates in this zone come first' },
  preempt: { kind: 'boolean', doc: 'asks a leader that is wanted less to hand over' },
  spread: { kind: 'duration', doc: 'how long to wait for each election that is led already' },
  once: { kind: 'boolean', doc: 'over when the work has returned' },
  backoff: {
    kind: 'group',
    doc: 'before it is a candidate again',
    options: {
      base: { kind: 'duration', min: 1, doc: 'the first wait' },
      factor: { kind: 'number', min: 1, doc: 'by how much it grows' },
      max: { kind: 'duration', min: 1, doc: 'the longest wait' },
    },
  },
}

/** Options with their defaults. */
export interface Settings extends Standing {
  readonly name: string
  readonly onLead: ElectionOptions['onLead']
  readonly algorithm: ElectionAlgorithm
  readonly holder: string
  readonly value: unknown
  readonly zone: string | undefined
  readonly preempt: boolean
  /** ms */
  readonly spread: number
  readonly once: boolean
  readonly backoff: Growth
}

/** What says who comes first, for those who stand in a queue. */
const ORDER = ['priority', 'zone', 'preferZone', 'preempt'] as const
/** What other algorithms have no use for, and why. */
const AGAINST = {
  record: { options: ORDER, why: 'in which nobody stands in line' },
  line: { options: [...ORDER, 'spread'] as const, why: 'in which who came first leads first' },
}

/**
 * Checks options and fills in what is missing.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function settingsOf(name: string, options: ElectionOptions): Settings {
  // JSON can hold null, and no kind of option does.
  const isNull = (options as ElectionOptions | null)?.value === null
  checkOptions('elect', OPTIONS, isNull ? { ...options, value: undefined } : options)
  checkJson('elect: `value`', options.value)
  const { algorithm = 'queue' } = options
  const against = algorithm === 'queue' ? undefined : AGAINST[algorithm]
  const unfit = against?.options.find((option) => options[option] !== undefined)
  if (unfit)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `elect: \`${unfit}\` is not for the algorithm \`${algorithm}\`, ${against!.why}`,
    )
  // JSON cannot hold it.
  if (options.priority !== undefined && !Number.isFinite(options.priority))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `elect: priority must be a finite number, got ${options.priority}`,
    )
  const { onLead, holder = thisHolder(), value, priority = 0 } = options
  const { zone, preferZone, preempt = false, spread = 0, once = false, backoff = {} } = options
  const { base = '1s', factor = 2, max = '1m' } = backoff
  return {
    name,
    onLead,
    algorithm,
    holder,
    value,
    priority,
    zone,
    preferred: zone !== undefined && zone === preferZone,
    preempt,
    spread: duration(spread),
    once,
    backoff: { base: duration(base), factor, max: Math.max(duration(base), duration(max)) },
  }
}
