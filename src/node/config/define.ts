import type { Bytes } from '../../core/bytes.js'
import type { Duration } from '../../core/duration.js'
import type { ListenSetting, NodeSpec } from '../spec.js'

/** What a configuration says in more than one way. */
type WrittenOtherwise = 'listen' | 'admin' | 'workers' | 'drain' | 'trust' | 'limits'

export type { Bytes } from '../../core/bytes.js'

/** Everything that `banyan.yaml` or `banyan.config.ts` may say. */
export interface Config extends Partial<Omit<NodeSpec, WrittenOtherwise>> {
  /**
   * Where clients come in: `host:port`, `:port` (every interface) or a port on loopback, or that with TLS; one or a list. Together with
   * `routes`; a node that is no gateway has neither.
   */
  listen?: ListenSetting | ListenSetting[]
  /** Where operators come in. Default `127.0.0.1:8081`; `false` for nowhere. */
  admin?: string | number | false
  /** Processes that serve clients, on the same listeners; `cores` for one a core. Default 1. */
  workers?: number | 'cores'
  drain?: {
    /** Between failing readiness and taking no more connections. Default 0. */
    delay?: Duration
    /** For requests in flight to finish on shutdown. Default `'10s'`. */
    grace?: Duration
  }
  /** Proxies whose `Forwarded` and `X-Forwarded-*` fields are believed: addresses and CIDR blocks. Default none. */
  trust?: string[]
  /** Bounds on what clients may ask. */
  limits?: {
    /** Request line and header fields together. Default `'32kB'`. */
    headBytes?: Bytes
    /** Header fields. Default 100. */
    fieldCount?: number
    /** Path and query. Default `'8kB'`. */
    targetBytes?: Bytes
    /** Request body. Default: no limit. */
    bodyBytes?: Bytes
    /** From the first byte of a request head to its last. Default `'10s'`. */
    headTimeout?: Duration
    /** Silence in the middle of a body. Default `'60s'`. */
    idleTimeout?: Duration
    /** Bytes a second of a request body on average, after the first 5 s. Default 240; 0 for none. */
    minimumRate?: number
    /** Silence between two requests of a connection. Default `'75s'`. */
    keepAliveTimeout?: Duration
    /** Open client connections. Default 20000. */
    connections?: number
    /** Requests at once on one connection of HTTP/2. Default 100. */
    streams?: number
    /** Requests that a client of HTTP/2 may call off in a burst; 20 a second are forgiven. Default 200. */
    streamResets?: number
    /** Bytes a second that a client of HTTP/2 may send beside requests. Default `'16kB'`. */
    controlBytes?: Bytes
  }
}

/**
 * Gives a configuration in TypeScript its types. Returns what it is given.
 *
 * ```ts
 * import { defineConfig } from 'banyan/config'
 * export default defineConfig({ listen: 8080, services: { ... }, routes: { ... } })
 * ```
 */
export function defineConfig(config: Config): Config {
  return config
}
