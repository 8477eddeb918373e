/** Where a transaction of yours is open, and statements are waited for. */
export type AsyncTransaction =
  | {
      /** As `Client` and `PoolClient` of `pg` have it, and clients of many ORMs. */
      query(text: string, values: unknown[]): PromiseLike<unknown>
    }
  /** Asks anything else: `(sql, parameters) => trx.executeQuery(CompiledQuery.raw(sql, [...parameters]))`. */
  | ((sql: string, parameters: readonly unknown[]) => PromiseLike<unknown>)

/** Where a transaction of yours is open, and statements answer at once. */
export type SyncTransaction =
  | {
      /** As databases of better-sqlite3, `node:sqlite` and `bun:sqlite` have it. */
      prepare(sql: string): { run(...values: never[]): unknown; all(...values: never[]): unknown }
    }
  | ((sql: string, parameters: readonly unknown[]) => unknown)
