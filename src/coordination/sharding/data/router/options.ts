import type { Duration } from '../../../../core/duration.js'
import { BanyanError } from '../../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../../core/options.js'

/** Options of `openShards`. */
export interface ShardsOptions<Place> {
  /**
   * The databases, by the names of their shards, all of one engine: all that there are, also those that have no buckets yet. They are
   * there, with their tables, when they are named first. Later, those that are away are opened when they are back.
   */
  databases: Readonly<Record<string, Place>>
  /** The tables whose rows are spread over them, each with the column that decides where a row is. Tables with the same keys lie together. */
  tables: Readonly<Record<string, { key: string }>>
  /** Tables that are the same in every database. Default: none. */
  reference?: readonly string[]
  /** How many buckets there are, for ever: what is moved as a whole, so many more than there will be databases. Default 1024. */
  buckets?: number
  /**
   * How much a database shall have beside the others, by its name; 0 for none. The first who opens it spreads the buckets like that; if
   * it is said again, plans go by it from then on, and nothing moves by itself. Default: as it is, 1 for a new one.
   */
  weights?: Readonly<Record<string, number>>
  /** How long to wait for a bucket that is on its way, in ms. Default `'5s'`. */
  wait?: Duration
  /** Hears the key of every read and write, such as a `heatMeter`. */
  heat?: KeyRecorder
  /** Whether to make what sharding needs in the databases, if it is not there. Default true. */
  migrate?: boolean
}

/** Who counts which keys are used. */
export interface KeyRecorder {
  record(key: string): void
}

const OPTIONS: OptionTable<ShardsOptions<unknown>> = {
  databases: { kind: 'code', type: 'object', doc: 'The databases, by the names of their shards.' },
  tables: { kind: 'code', type: 'object', doc: 'The sharded tables, each with its key column.' },
  reference: {
    kind: 'list',
    of: { kind: 'string', doc: 'A table.' },
    doc: 'Tables that are the same everywhere.',
  },
  buckets: {
    kind: 'number',
    min: 1,
    max: 65_536,
    integer: true,
    doc: 'How many buckets there are, for ever.',
  },
  weights: { kind: 'code', type: 'object', doc: 'How much a database shall have.' },
  wait: { kind: 'duration', doc: 'How long to wait for a bucket that is on its way.' },
  heat: { kind: 'code', type: 'object', doc: 'Hears the key of every read and write.' },
  migrate: { kind: 'boolean', doc: 'Whether to make what sharding needs.' },
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkShardsOptions(options: ShardsOptions<unknown>): void {
  checkOptions('openShards', OPTIONS, options)
  const { databases = {}, tables: given = {} } = options as Partial<ShardsOptions<unknown>>
  const shards = Object.keys(databases)
  if (shards.length === 0) throw refused('databases must name one at least')
  const tables = Object.entries(given)
  if (tables.length === 0) throw refused('tables must name one at least')
  for (const [table, { key }] of tables)
    if (typeof (key as unknown) !== 'string' || key === '')
      throw refused(`tables.${table}.key must name a column`)
  for (const table of options.reference ?? [])
    if (given[table]) throw refused(`${table} is in tables and in reference: it is one or the other`)
  const { weights = {} } = options
  for (const [shard, weight] of Object.entries(weights)) {
    if (!shards.includes(shard)) throw refused(`weights names ${shard}, which is not in databases`)
    if (!(weight >= 0 && weight < Infinity)) throw refused(`weights.${shard} must be a number of at least 0`)
  }
  if (shards.every((shard) => weights[shard] === 0)) throw refused('weights must leave one database above 0')
}

function refused(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `openShards: ${message}`)
}
