import { duration, formatDuration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { SchemaSettings } from '../numbered-schema.js'
import { checkPlace } from '../settings.js'

/** The shortest and the longest lease, in ms. */
export const POSTGRES_LEASES = { minTtl: 2000, maxTtl: 24 * 3600 * 1000 } as const

/** A coordinator in a PostgreSQL database, version 15 or newer. */
export interface PostgresCoordinatorSpec {
  driver: 'postgres'
  /** `postgres://user:password@host:port/database`, of the primary; what else it may say is up to the package `pg`. */
  url: string
  /** Where its tables are: lower case letters, digits and `_`. Default `banyan_coordination`. */
  schema?: string
  /** How many connections read, at most; default 2. Two more write, and one listens. */
  connections?: number
  /** Where to listen for what others change, if `url` is a pooler that cannot; default `url`. */
  listenUrl?: string
  /** Whether to listen at all; without it watches look for themselves. Default true. */
  listen?: boolean
  /** The longest time between two looks of watches that have no news; default `'1s'`. */
  poll?: Duration
  /**
   * How long a change is tried again if the server cannot be reached, and what reads at most 3 s; default `'5s'`. With
   * `answerWithin` at most 4 minutes.
   */
  retryFor?: Duration
  /** When a server that does not answer is given up, and asked again on another connection; default `'10s'`. */
  answerWithin?: Duration
  /** Whether to make the tables in a schema that has none; default true. Tables of an older version are never changed. */
  migrate?: boolean
  /**
   * Whether leases also end by the time in which no process was connected, which only the clock of the server tells; default
   * false. For programs that run shortly, on a server whose clock is never set forward.
   */
  countAbsence?: boolean
}

/** A {@link PostgresCoordinatorSpec}, checked and with its defaults; times in ms. */
export interface CoordinatorSettings extends SchemaSettings {
  readonly listenUrl: string | undefined
  readonly poll: number
  readonly countAbsence: boolean
}

/** What a {@link PostgresCoordinatorSpec} may say. */
export const POSTGRES_COORDINATOR_OPTIONS: OptionTable<PostgresCoordinatorSpec> = {
  driver: { kind: 'choice', values: ['postgres'], doc: 'postgres' },
  url: { kind: 'string', doc: 'postgres://user:password@host:port/database' },
  schema: { kind: 'string', doc: 'where its tables are' },
  connections: {
    kind: 'number',
    min: 1,
    max: 1000,
    integer: true,
    doc: 'how many connections read, at most',
  },
  listenUrl: { kind: 'string', doc: 'where to listen, if url is a pooler' },
  listen: { kind: 'boolean', doc: 'whether to listen for what others change' },
  poll: { kind: 'duration', min: 1, doc: 'the longest time between two looks of watches' },
  retryFor: { kind: 'duration', doc: 'how long a server that cannot be reached is tried again' },
  answerWithin: { kind: 'duration', min: 100, doc: 'when a server that does not answer is given up' },
  migrate: { kind: 'boolean', doc: 'whether to make the tables in a schema that has none' },
  countAbsence: {
    kind: 'boolean',
    doc: 'whether leases end by the time in which no process was connected, too',
  },
}

/** Where the tables are unless said otherwise: beside those of an event log, which is dumped and restored by itself. */
export const DEFAULT_SCHEMA = 'banyan_coordination'

/**
 * How long after a change was sent its last repetition may arrive, in ms. What came of it is found in the history, which is
 * kept for five minutes at least; a repetition that came later would find nothing, and make the change a second time.
 */
const REPEATED_WITHIN_MS = 4 * 60_000

/** For messages. */
export const WHAT = 'the postgres coordinator'

/** @throws `BANYAN_INVALID_OPTIONS` */
export function settingsOf(spec: PostgresCoordinatorSpec): CoordinatorSettings {
  checkOptions(WHAT, POSTGRES_COORDINATOR_OPTIONS, spec)
  const { url, schema = DEFAULT_SCHEMA, listen = true } = spec
  checkPlace(WHAT, url, spec.listenUrl, schema)
  const retryFor = duration(spec.retryFor ?? '5s')
  const answerWithin = duration(spec.answerWithin ?? '10s')
  if (retryFor + answerWithin > REPEATED_WITHIN_MS)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${WHAT}: retryFor and answerWithin must be ${formatDuration(REPEATED_WITHIN_MS)} together at most, not ` +
        `${formatDuration(retryFor + answerWithin)}: what came of a change is not known for much longer, and later it ` +
        'might be made a second time',
    )
  return {
    url,
    schema,
    connections: spec.connections ?? 2,
    listenUrl: listen ? (spec.listenUrl ?? url) : undefined,
    poll: duration(spec.poll ?? '1s'),
    retryFor,
    answerWithin,
    migrate: spec.migrate ?? true,
    countAbsence: spec.countAbsence ?? false,
  }
}
