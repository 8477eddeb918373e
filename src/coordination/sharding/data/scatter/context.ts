import type { Runtime } from '../../../../core/runtime.js'
import type { DataShardMap } from '../map.js'
import type { AnyStore } from './ask-all.js'
import type { KnownTables } from './tables-of.js'

/** What a query needs of the router that runs it. */
export interface ScatterContext {
  readonly engine: 'sqlite' | 'postgres'
  readonly known: KnownTables
  readonly runtime: Runtime
  /** How long to wait for buckets that are between two databases, in ms. */
  readonly waitMs: number
  /** All databases. */
  stores(): readonly AnyStore[]
  map(): DataShardMap
  /** Reads the map anew, if that can be done. */
  refresh(signal: AbortSignal): Promise<void>
  /** A query asks so many databases. */
  asked(width: number): void
  /** Answers had a bucket twice or not at all: all are asked again. */
  askedAgain(): void
}
