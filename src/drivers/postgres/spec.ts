import type { Duration } from '../../core/duration.js'

/** An event log in a PostgreSQL database, version 15 or newer. */
export interface PostgresLogSpec {
  driver: 'postgres'
  /** `postgres://user:password@host:port/database`; what else it may say is up to the package `pg`. */
  url: string
  /** Where its tables are: lower case letters, digits and `_`. One log a schema. Default `banyan`. */
  schema?: string
  /** How many connections read, at most; default 4. Two more append, and one listens. */
  connections?: number
  /** Where to listen for what others append, if `url` is a pooler that cannot; default `url`. */
  listenUrl?: string
  /** Whether to listen at all; without it followers look for themselves. Default true. */
  listen?: boolean
  /** The longest time between two looks of followers that have no news; default `'1s'`. */
  poll?: Duration
  /** How long an append waits for a stream that another transaction holds; default `'10s'`. */
  lockTimeout?: Duration
  /** How long an append is tried again if the server cannot be reached, and what reads at most 3 s; default `'30s'`. */
  retryFor?: Duration
  /** When a server that does not answer is given up, and asked again on another connection; default `'60s'`. */
  answerWithin?: Duration
  /** Whether to make the tables in a schema that has none; default true. Tables of an older version are never changed. */
  migrate?: boolean
}
