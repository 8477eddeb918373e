import { sleep } from '../../../core/clock.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { Coordinator } from '../../coordinator.js'
import { bucketOf } from '../buckets.js'
import { ownerIn, readDataShards, shardsUnknown, type DataShardMap } from './map.js'
import { bucketsOf } from './ranges.js'
import type { OwnedBuckets, Row, ShardStore } from './store.js'

/** Options of {@link verifyShards}. */
export interface VerifyShardsOptions {
  /** As `openShards` has them: the key of every row is compared with its bucket, too, which reads all of them. Default: not. */
  tables?: Readonly<Record<string, { key: string }>>
  /** Stops it; rejects with its reason. */
  signal?: AbortSignal
}

const OPTIONS: OptionTable<VerifyShardsOptions> = {
  tables: { kind: 'code', type: 'object', doc: 'the tables with their keys' },
  signal: { kind: 'code', type: 'object', doc: 'stops it' },
}

/** What the databases of a sharded application hold, beside what its map says. */
export interface VerifiedShards {
  /** Whether every database was asked, and nothing was found. */
  readonly isRight: boolean
  readonly databases: readonly VerifiedDatabase[]
  /** Buckets that are not owned by the one database that the map says; of many the first 100. */
  readonly owners: readonly WrongOwner[]
}

/** What one of them holds. */
export interface VerifiedDatabase {
  readonly shard: string
  /** How many it owns. */
  readonly buckets: number
  /** By table. */
  readonly rows: Readonly<Record<string, number>>
  /** Rows of buckets that it does not own. */
  readonly astray: readonly BucketRows[]
  /** Rows whose key is of another bucket than the one that they are in, if keys were compared. */
  readonly mismarked: readonly BucketRows[]
  /** Why it could not be asked. */
  readonly problem?: string
}

/** Some rows of a table. */
export interface BucketRows {
  readonly table: string
  /** Null: in none. */
  readonly bucket: number | null
  readonly rows: number
}

/** A bucket that is not where the map says. */
export interface WrongOwner {
  readonly bucket: number
  readonly map: string
  /** Who owns it: nobody, another one, or several. */
  readonly owners: readonly string[]
}

/** How often it is looked again while owners change, and after which time in ms. */
const TRIES = 5
const BETWEEN = 200
const LISTED = 100
const PAGE = 500

/**
 * Compares what every database holds with what it owns, and that with the map. Changes nothing, and can be done at any time: what is
 * switched meanwhile is looked at again.
 *
 * @param shards - of `openShards`
 * @throws `BANYAN_SHARDS_UNKNOWN`, `BANYAN_INVALID_OPTIONS`; errors of the engines other than that a database is away
 */
export async function verifyShards(
  coordinator: Coordinator,
  { name, stores }: { readonly name: string; readonly stores: ReadonlyMap<string, ShardStore<unknown>> },
  options: VerifyShardsOptions = {},
): Promise<VerifiedShards> {
  checkOptions('verifyShards', OPTIONS, options)
  const { tables, signal } = options
  const { clock } = coordinator.runtime
  for (let tries = 1; ; tries++) {
    const before = await readDataShards(coordinator, name)
    if (!before) throw shardsUnknown(name)
    const asked = await Promise.all(
      Object.keys(before.shards).map((shard) =>
        askOne(shard, stores.get(shard), before.buckets, tables, signal),
      ),
    )
    const owners = wrongOwners(before, asked)
    if (owners.length > 0 && tries < TRIES) {
      await sleep(clock, BETWEEN, signal)
      continue
    }
    const databases = asked.map(({ database }) => database)
    const isRight =
      owners.length === 0 &&
      databases.every(
        ({ problem, astray, mismarked }) =>
          problem === undefined && astray.length === 0 && mismarked.length === 0,
      )
    return { isRight, databases, owners: owners.slice(0, LISTED) }
  }
}

interface Asked {
  readonly database: VerifiedDatabase
  /** Undefined if it could not be asked. */
  readonly owned: OwnedBuckets | undefined
}

async function askOne(
  shard: string,
  store: ShardStore<unknown> | undefined,
  buckets: number,
  tables: VerifyShardsOptions['tables'],
  signal: AbortSignal | undefined,
): Promise<Asked> {
  const away = (problem: string): Asked => ({
    database: { shard, buckets: 0, rows: {}, astray: [], mismarked: [], problem },
    owned: undefined,
  })
  if (!store) return away('it is not among the databases that were opened here')
  try {
    const rows: Record<string, number> = {}
    const astray: BucketRows[] = []
    for (const table of Object.keys(await store.shapes())) {
      const counts = `SELECT banyan_bucket AS bucket, count(*) AS n FROM ${quoted(table)} GROUP BY banyan_bucket`
      const { rows: found, owned } = await store.query(counts, [], { signal })
      const own = ownedIn(owned)
      rows[table] = 0
      for (const each of found.map((row) => bucketRows(table, row))) {
        rows[table] += each.rows
        if (each.bucket === null || !own.has(each.bucket)) astray.push(each)
      }
    }
    const mismarked = tables ? await mismarkedIn(store, buckets, tables, signal) : []
    const owned = await store.owned()
    return { database: { shard, buckets: ownedIn(owned).size, rows, astray, mismarked }, owned }
  } catch (error) {
    signal?.throwIfAborted()
    return away(error instanceof Error ? error.message : String(error))
  }
}

async function mismarkedIn(
  store: ShardStore<unknown>,
  buckets: number,
  tables: NonNullable<VerifyShardsOptions['tables']>,
  signal: AbortSignal | undefined,
): Promise<BucketRows[]> {
  const found: BucketRows[] = []
  for (const [table, { key }] of Object.entries(tables)) {
    const wrong = new Map<number | null, number>()
    const all = `SELECT CAST(${quoted(key)} AS text) AS shard_key, banyan_bucket AS bucket FROM ${quoted(table)}`
    const cursor = await store.cursor(all, [], { signal })
    try {
      for (let rows = await cursor.read(PAGE); rows.length > 0; rows = await cursor.read(PAGE))
        for (const { shard_key: text, bucket } of rows) {
          const is = numberOf(bucket)
          if (typeof text === 'string' && bucketOf(text, buckets) === is) continue
          wrong.set(is, (wrong.get(is) ?? 0) + 1)
        }
    } finally {
      await cursor.close()
    }
    for (const [bucket, rows] of wrong) found.push({ table, bucket, rows })
  }
  return found
}

function wrongOwners(map: DataShardMap, asked: readonly Asked[]): WrongOwner[] {
  const known = asked.flatMap(({ database, owned }) =>
    owned ? [[database.shard, ownedIn(owned)] as const] : [],
  )
  const isAway = new Set(asked.flatMap(({ database, owned }) => (owned ? [] : [database.shard])))
  const wrong: WrongOwner[] = []
  for (let bucket = 0; bucket < map.buckets; bucket++) {
    const owner = ownerIn(map, bucket)
    const owners = known.filter(([, own]) => own.has(bucket)).map(([shard]) => shard)
    // Who is away cannot say that it has it.
    const isRight = isAway.has(owner) ? owners.length === 0 : owners.length === 1 && owners[0] === owner
    if (!isRight) wrong.push({ bucket, map: owner, owners })
  }
  return wrong
}

function ownedIn({ ranges }: OwnedBuckets): Set<number> {
  return new Set(bucketsOf(ranges))
}

function bucketRows(table: string, { bucket, n }: Row): BucketRows {
  return { table, bucket: numberOf(bucket), rows: Number(n) }
}

function numberOf(value: unknown): number | null {
  return value === null || value === undefined ? null : Number(value)
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
