import type { Maybe, ReadModelStore } from '../../events/projections/store.js'

/** A store to try, and how to use its tables: rows of a number under a key. */
export interface ReadModelSetup<Db> {
  /** Opens a store that nothing was written to. */
  readonly open: () => Promise<ReadModelStoreUnderTest<Db>>
  /** Makes a table, as `setup` of a projection does. */
  readonly create: (db: Db, table: string) => Maybe<unknown>
  readonly set: (db: Db, table: string, key: string, value: number) => Maybe<unknown>
  /** Undefined if there is none. */
  readonly get: (db: Db, table: string, key: string) => Maybe<number | undefined>
}

/** A store that a case tries. */
export interface ReadModelStoreUnderTest<Db> {
  readonly store: ReadModelStore<Db>
  /** Opens the same again, as another process would. Cases of several processes are left out without it. */
  readonly connect?: () => Promise<ReadModelStore<Db>>
  readonly dispose?: () => Promise<void>
}

/** What a case works with. */
export interface ReadModelTrial<Db> extends Omit<ReadModelSetup<Db>, 'open'> {
  readonly store: ReadModelStore<Db>
  /** Another connection, or the same one if there is no other. */
  readonly another: () => Promise<ReadModelStore<Db>>
}

export interface ReadModelCase {
  readonly name: string
  readonly run: <Db>(trial: ReadModelTrial<Db>) => Promise<void>
}
