import type { Duration } from '../../core/duration.js'
import type { OptionTable } from '../../core/options.js'

/**
 * The shortest and the longest lease, in ms. etcd counts in seconds, and gives 1.5 times its election timeout at least: 2 s
 * unless it is set otherwise.
 */
export const ETCD_LEASES = { minTtl: 1000, maxTtl: 24 * 3600 * 1000 } as const

/** Keys in an etcd of version 3.4 or later. */
export interface EtcdCoordinatorSpec {
  driver: 'etcd'
  /**
   * `etcd://user:password@host:2379,host:2379/prefix/`: members of one cluster, user and password if it asks for them, with
   * %40 for @, and what stands before all keys; `etcds://` with TLS.
   */
  url: string
  /** For `etcds://`. */
  tls?: EtcdTlsSpec
  /** When a call is given up that has no answer. Default 5 s. */
  timeout?: Duration
}

/** Files in PEM. */
export interface EtcdTlsSpec {
  /** Who to believe. Default: whom Node believes. */
  ca?: string
  /** One's own certificate. Default: none. */
  cert?: string
  /** Its key. */
  key?: string
  /** The name to expect in the certificates of the members. Default: that of the endpoint. */
  serverName?: string
}

const TLS: OptionTable<EtcdTlsSpec> = {
  ca: { kind: 'string', doc: 'a file with the certificates of those who are believed, in PEM' },
  cert: { kind: 'string', doc: 'a file with the own certificate, in PEM' },
  key: { kind: 'string', doc: 'a file with its key, in PEM' },
  serverName: { kind: 'string', doc: 'the name to expect in the certificates of the members' },
}

/** What an {@link EtcdCoordinatorSpec} may say. */
export const ETCD_COORDINATOR_OPTIONS: OptionTable<EtcdCoordinatorSpec> = {
  driver: { kind: 'choice', values: ['etcd'], doc: 'etcd' },
  url: { kind: 'string', doc: 'etcd://user:password@host:2379,host:2379/prefix/' },
  tls: { kind: 'group', options: TLS, doc: 'files for etcds://' },
  timeout: { kind: 'duration', min: 100, doc: 'when a call is given up that has no answer; default 5s' },
}
