import type { Duration } from '../../core/duration.js'

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
