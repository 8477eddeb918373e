import { createSecureContext, type SecureContext, type SecureContextOptions } from 'node:tls'
import type { Certificate } from './certificate.js'

/** Certificates of the same names, one for each kind of key; a client gets the one it can check. */
export interface ShownCertificate {
  readonly context: SecureContext
  /** What the context was made of. */
  readonly options: SecureContextOptions
  readonly names: readonly string[]
}

/** The certificates of a listener, chosen by the name that a client asks for. */
export class CertificateSet {
  /** For clients without a name, or with one that no certificate is for. */
  readonly fallback: ShownCertificate
  readonly #byName = new Map<string, ShownCertificate>()

  /**
   * @param certificates - one at least
   * @param options - the same for all
   */
  constructor(certificates: readonly Certificate[], options: SecureContextOptions) {
    const alike = new Map<string, Certificate[]>()
    for (const each of certificates) {
      const key = [...each.names].sort().join()
      alike.set(key, [...(alike.get(key) ?? []), each])
    }
    const shown = [...alike.values()].map((each): ShownCertificate => {
      const cert = each.map(({ chain }) => chain)
      const key = each.map(({ key: pem, passphrase }) =>
        passphrase === undefined ? { pem } : { pem, passphrase },
      )
      const all = { ...options, cert, key }
      return { context: createSecureContext(all), options: all, names: each[0]!.names }
    })
    this.fallback = shown[0]!
    for (const each of shown) {
      for (const name of each.names) if (!this.#byName.has(name)) this.#byName.set(name, each)
    }
  }

  /** What a client that asks for a name is shown. */
  choose(serverName: string | undefined): ShownCertificate {
    return (serverName === undefined ? undefined : this.#find(serverName.toLowerCase())) ?? this.fallback
  }

  /**
   * Whether requests for a host belong on another connection than one that was shown this: then another certificate is
   * for the host, and this one is not (RFC 9110 15.5.20).
   *
   * @param host - with a port or without
   */
  isMisdirected(host: string, shown: ShownCertificate): boolean {
    const name = host.replace(/:\d*$/, '').toLowerCase()
    if (shown.names.includes(name) || shown.names.includes(wildcardOf(name))) return false
    const right = this.#find(name)
    return right !== undefined && right !== shown
  }

  #find(name: string): ShownCertificate | undefined {
    return this.#byName.get(name) ?? this.#byName.get(wildcardOf(name))
  }
}

/** `*.shop.example` for `www.shop.example`; a wildcard stands for exactly one label (RFC 9525 6.3). */
function wildcardOf(name: string): string {
  return `*${name.slice(Math.max(0, name.indexOf('.')))}`
}
