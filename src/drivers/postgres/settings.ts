import { duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { BanyanError } from '../../core/errors.js'
import type { PostgresLogSpec } from './spec.js'

/** A {@link PostgresLogSpec}, checked and with its defaults; times in ms. */
export interface Settings {
  readonly url: string
  readonly schema: string
  readonly connections: number
  readonly listenUrl: string | undefined
  readonly poll: number
  readonly lockTimeout: number
  readonly retryFor: number
  readonly answerWithin: number
  readonly migrate: boolean
}

const OPTIONS: OptionTable<PostgresLogSpec> = {
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
  listen: { kind: 'boolean', doc: 'whether to listen for what others append' },
  poll: { kind: 'duration', min: 1, doc: 'the longest time between two looks of followers' },
  lockTimeout: { kind: 'duration', min: 1, doc: 'how long an append waits for a stream that is held' },
  retryFor: { kind: 'duration', doc: 'how long a server that cannot be reached is tried again' },
  answerWithin: { kind: 'duration', min: 100, doc: 'when a server that does not answer is given up' },
  migrate: { kind: 'boolean', doc: 'whether to make the tables in a schema that has none' },
}

/** What PostgreSQL keeps of a name without quotes, and short enough for the name of a channel with it. */
const SCHEMA = /^[a-z_][a-z0-9_]{0,49}$/

/** @throws `BANYAN_INVALID_OPTIONS` */
export function settingsOf(spec: PostgresLogSpec): Settings {
  checkOptions('the postgres event log', OPTIONS, spec)
  const { url, schema = 'banyan', listen = true } = spec
  checkPlace('the postgres event log', url, spec.listenUrl, schema)
  return {
    url,
    schema,
    connections: spec.connections ?? 4,
    listenUrl: listen ? (spec.listenUrl ?? url) : undefined,
    poll: duration(spec.poll ?? '1s'),
    lockTimeout: duration(spec.lockTimeout ?? '10s'),
    retryFor: duration(spec.retryFor ?? '30s'),
    answerWithin: duration(spec.answerWithin ?? '60s'),
    migrate: spec.migrate ?? true,
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` unless tables can be there */
export function checkPlace(
  what: string,
  url: unknown,
  listenUrl: string | undefined,
  schema: string,
): asserts url is string {
  for (const [name, value] of Object.entries({ url, listenUrl: listenUrl ?? url }))
    if (!isDatabase(value))
      throw invalid(
        what,
        `${name} must be postgres://user:password@host:port/database, with %40 for @ and %2F for / in user and password ` +
          '(it is not shown, it may hold a password)',
      )
  checkSchema(what, schema)
}

/** @throws `BANYAN_INVALID_OPTIONS` unless a schema can be called that */
export function checkSchema(what: string, schema: string): void {
  if (!SCHEMA.test(schema) || schema.startsWith('pg_'))
    throw invalid(
      what,
      `schema must be up to 50 lower case letters, digits and _, and not begin with a digit or pg_, got ${JSON.stringify(schema)}`,
    )
}

/** A password with a `/` that is not encoded would be taken for the name of the database, and shown. */
function isDatabase(url: unknown): boolean {
  if (typeof url !== 'string' || !URL.canParse(url)) return false
  const { protocol, pathname } = new URL(url)
  return /^postgres(ql)?:$/.test(protocol) && !pathname.includes('@')
}

/** Where the server is, without user and password. */
export function placeOf(url: string): string {
  const { host, pathname } = new URL(url)
  return `${host}${pathname}`
}

function invalid(what: string, message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `${what}: ${message}`)
}
