import type { ShardInspection, ShardSpec, ShardStore } from '../store.js'

/** How the databases of an application are reached. */
export interface ShardOpener<Place, Db> {
  /** Looks at one, and changes nothing. */
  inspect(where: Place, spec: ShardSpec): Promise<ShardInspection>
  /** Opens one, and makes the tables of a shard in it, if that is wanted. */
  open(where: Place, spec: ShardSpec): Promise<ShardStore<Db>>
}

/** All that is told of the databases of a sharded application. */
export interface ShardPlaces<Place> {
  readonly name: string
  readonly databases: Readonly<Record<string, Place>>
  readonly tables: ShardSpec['tables']
  readonly reference: readonly string[]
}

/** What a database is opened as. */
export function specOf(
  { name, tables, reference }: ShardPlaces<unknown>,
  id: string,
  buckets: number,
): ShardSpec {
  return { name, id, buckets, tables, reference }
}
