import type { Defaults } from './rules.js'

/** How a cache behaves; times in ms. */
export interface CacheSettings {
  readonly defaults: Defaults
  /** Longest body that is kept, in bytes. */
  readonly entryBytes: number
  /** Room for answers that are being received, in bytes. */
  readonly receivingBytes: number
  /** Whether clients may ask for a fresh answer. */
  readonly honoursClients: boolean
  /** Most requests that wait for one fetch, and how long each does. */
  readonly waiters: number
  readonly waitFor: number
  /** Whether answers are asked for and kept without a coding, as another filter compresses them. */
  readonly identityOnly: boolean
}
