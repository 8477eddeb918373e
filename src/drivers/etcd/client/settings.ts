import type { Runtime } from '../../../core/runtime.js'

/** What a client takes from the world. */
export type Surroundings = Pick<Runtime, 'clock' | 'random'>

/** How to reach etcd; times in ms. */
export interface EtcdSettings {
  /** `host:port` of each member. */
  readonly endpoints: readonly string[]
  /** Speaks TLS, with these instead of what the system believes and no certificate of one's own; PEM. */
  readonly tls?: EtcdTls | undefined
  /** Who to sign in as. */
  readonly user?: { readonly name: string; readonly password: string } | undefined
  /** When a call is given up that has no answer. */
  readonly timeout: number
}

/** For TLS; PEM. */
export interface EtcdTls {
  readonly ca?: Buffer | undefined
  readonly cert?: Buffer | undefined
  readonly key?: Buffer | undefined
  /** The name to expect in the certificate. Default: that of the endpoint. */
  readonly serverName?: string | undefined
}
