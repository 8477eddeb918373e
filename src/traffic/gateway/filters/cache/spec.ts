import type { Bytes } from '../../../../core/bytes.js'
import type { Duration } from '../../../../core/duration.js'

/** Keeps answers that may be given again. */
export interface CacheSpec {
  /** Memory for kept answers. Answers that are being received may take a quarter of it besides. Default `'64MB'`. */
  bytes?: Bytes
  /** Longest body that is kept; a quarter of `bytes` at most. Default `'1MB'`, or that quarter if it is less. */
  entryBytes?: Bytes
  /** How long answers are fresh that neither allow nor forbid to be kept. Default: those are not kept. */
  defaultTtl?: Duration
  /** How long stale answers are given while a new one is asked for, where they do not say. Default 0. */
  staleWhileRevalidate?: Duration
  /** How long stale answers are given if the service fails, where they do not say. Default 0. */
  staleIfError?: Duration
  /** Whether a client's `no-cache`, `max-age` and the like are passed over, so that a reload costs nothing. Default false. */
  ignoreClients?: boolean
  /** Most requests that wait for one fetch of what they all want; those beyond ask for themselves. Default 1000. */
  waiters?: number
  /** How long each of them waits before it asks for itself. Default `'5s'`. */
  waitFor?: Duration
}
