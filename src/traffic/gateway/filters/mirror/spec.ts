import type { Bytes } from '../../../../core/bytes.js'
import type { Duration } from '../../../../core/duration.js'
import type { HeaderEdits } from '../../header-edits.js'

/** Copies requests to another service. */
export interface MirrorSpec {
  /** The service that gets the copies. */
  service: string
  /** Share of the requests that is copied, 0 to 1. Default 1. */
  share?: number
  /** Methods that are copied. Default GET and HEAD: a copy of any other may do twice what must be done once. */
  methods?: string[]
  /** How long a copy may take. Default `'5s'`. */
  timeout?: Duration
  /** Longest body that is copied; requests with a longer one are not. Default `'64kB'`. */
  maxBody?: Bytes
  /** Copies under way at the same time; no more are made meanwhile. Default 100. */
  concurrency?: number
  /** Edits of the copies' header fields: other credentials, or none. */
  headers?: HeaderEdits
}
