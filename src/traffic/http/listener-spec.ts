/** What is spoken on a listener. */
export interface ListenerSpec {
  /** Clients come by TLS. */
  tls?: TlsSpec
  /** Whether HTTP/2 is offered beside HTTP/1.1 (ALPN); only with `tls`. Default true. */
  http2?: boolean
  /** Whether HTTP/2 is taken without TLS, from clients that begin with it (prior knowledge); only without `tls`. Default false. */
  h2c?: boolean
}

/** TLS towards clients. */
export interface TlsSpec {
  /** The first one is for clients that ask for no name, or for one that no certificate is for. */
  certificates: CertificateSpec[]
  /** The oldest version that clients may speak. Default `TLSv1.2`. */
  minVersion?: TlsVersion
  /** Asks clients for certificates of their own. */
  clients?: ClientCertificatesSpec
}

/** Versions of TLS that are worth the name (RFC 8996 retires the others). */
export type TlsVersion = 'TLSv1.2' | 'TLSv1.3'

/** A certificate to show to clients. */
export interface CertificateSpec {
  /** File with the certificate and those that vouch for it, in PEM, our own first. */
  cert: string
  /** File with its private key, in PEM. */
  key: string
  /** What the key is encrypted with. */
  passphrase?: string
  /** The names (`shop.example`, `*.shop.example`) it is shown for. Default: those it was issued for. */
  names?: string[]
}

/** Client certificates (mutual TLS). */
export interface ClientCertificatesSpec {
  /** File with the certificates of the authorities that may vouch for clients, in PEM. */
  ca: string
  /** Whether a client must have one. One that is shown must be valid in any case. */
  mode: 'request' | 'require'
  /** Tells services about the certificate. `true` means `Client-Cert`. Default: nothing is told. */
  forward?: true | ForwardedCertificateSpec
}

/** Which request fields tell services about a client's certificate. What clients put there themselves is removed. */
export interface ForwardedCertificateSpec {
  /** The whole certificate in `Client-Cert` (RFC 9440). Default true. */
  certificate?: boolean
  /** Name of a field for the subject, `CN=checkout,O=shop`. Default: none. */
  subject?: string
  /** Name of a field for the subject alternative names, `DNS:checkout.shop.example, URI:spiffe://shop/checkout`. Default: none. */
  names?: string
}
