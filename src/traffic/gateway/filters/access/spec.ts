import type { Duration } from '../../../../core/duration.js'
import type { Algorithm } from './algorithms.js'

/** Who may pass a route. */
export interface AccessSpec {
  /**
   * Names of authenticators. The first that knows who asks decides; credentials that are wrong for all of them are
   * refused. Without it nobody is asked who they are, and `allow.rule` decides alone.
   */
  by?: string | string[]
  /** Whether requests without credentials pass too. Wrong ones never do. Default false. */
  optional?: boolean
  /** Who of those that are known may pass. Default: all. */
  allow?: AllowSpec
  /**
   * Fields that tell the service who asks: the field's name, and `sub`, `scopes`, `by` or the path of a claim. What
   * clients send in fields of these names is dropped on every route of the gateway.
   */
  identityHeaders?: IdentityHeaders
  /** Whether the service gets the credentials too. Default false: they are of no use to it but to be somebody else. */
  forwardCredentials?: boolean
  /** What the credentials are for, in `WWW-Authenticate`. Default `banyan`. */
  realm?: string
}

/** Who of those that are known may pass: everything that is given must hold. */
export interface AllowSpec {
  /** Scopes that are needed, every one of them. */
  scopes?: string[]
  /** Claims that are needed: the value, or one of the values; a claim that is a list must hold one of them. */
  claims?: Record<string, ClaimValue | ClaimValue[]>
  /** Who it must be, one of them; `*` stands for any text: `acme:*`. */
  subjects?: string[]
  /** A condition in CEL on `identity`, `request` and `client`; see docs/traffic/authorization.md. */
  rule?: string
}

export type ClaimValue = string | number | boolean

/** Fields that tell the service who asks: the field's name, and `scopes`, `by` or the path of a claim. */
export type IdentityHeaders = Readonly<Record<string, string>>

/** How to find out who asks, as `authenticators.<name>` says it: exactly one of these. */
export interface AuthenticatorSpec {
  /** Signed tokens. */
  jwt?: JwtSpec
  /** Tokens that their issuer is asked about. */
  introspection?: IntrospectionSpec
  /** Keys that were handed out. */
  apiKey?: ApiKeySpec
  /** Names and passwords. */
  basic?: BasicSpec
  /** Certificates of TLS connections. */
  certificate?: CertificateSpec
}

/** JSON Web Tokens (RFC 7519) that somebody else has signed, as `authenticators.<name>.jwt` says it. */
export interface JwtSpec {
  /** What signatures are verified with: published keys, a file or a list of them, or a secret shared with the issuer. */
  keys: RemoteKeysSpec | { file: string } | { list: Record<string, unknown>[] } | { secret: SecretSpec }
  /** Who must have issued the token (`iss`), exactly; one or several. */
  issuer: string | string[]
  /** For whom it must be (`aud`), one of them; `false` for tokens that say nothing about that. */
  audience: string | string[] | false
  /**
   * Algorithms that may have signed it. Default: every one of public keys, or for a secret `HS256`. Never `none`, and
   * never those of a secret together with those of public keys.
   */
  algorithms?: Algorithm[]
  /** How far the clocks of issuer and gateway may be apart. Default `'30s'`. */
  clockSkew?: Duration
  /** Where the token is; the first place that has one decides. Default `['bearer']`. */
  from?: TokenPlace[]
  /** Claims that must be there, besides the subject and `exp`. */
  required?: string[]
  /** The kind of token that its header must state (`typ`), such as `at+jwt` (RFC 9068). Default: any. */
  type?: string
  /** Which claims say what. */
  claims?: ClaimNames
  /** Tokens whose verification is remembered until they expire. Default 10000; 0 for none. */
  remember?: number
}

/** Where keys are published, as `authenticators.<name>.jwt.keys` says it. */
export interface RemoteKeysSpec {
  /** Of the JWK set. */
  url: string
  /** How old keys may be before they are fetched again, beside the requests. Default `'10m'`. */
  refreshEvery?: Duration
  /** Least time between two fetches for a key that is not known, and most between two after failures. Default `'30s'`. */
  cooldown?: Duration
  /** For how long the last keys are used when there are no newer ones to be had. Default `'24h'`. */
  useStaleFor?: Duration
  /** For one fetch. Default `'5s'`. */
  timeout?: Duration
}

/** Tokens that their issuer is asked about (RFC 7662), as `authenticators.<name>.introspection` says it. */
export interface IntrospectionSpec {
  /** Of the introspection endpoint. */
  url: string
  /** What the gateway is called there. */
  clientId: string
  clientSecret: SecretSpec
  /** Who must have issued the token, if the answer says so; one or several. Default: not looked at. */
  issuer?: string | string[]
  /** For whom it must be, one of them. Default: not looked at. */
  audience?: string | string[]
  /** How long an active token is not asked about again; never beyond its `exp`. Default `'1m'`. */
  cacheFor?: Duration
  /** How long a token that is not active is not asked about again. Default `'10s'`. */
  cacheInactiveFor?: Duration
  /** How long after `cacheFor` an active token still counts while the issuer does not answer. Default 0: not at all. */
  useStaleFor?: Duration
  /** For one question. Default `'2s'`. */
  timeout?: Duration
  /** Questions at the same time; a token beyond that is answered with 503. Default 64. */
  concurrency?: number
  /** Answers remembered. Default 10000. */
  remember?: number
  /** Where the token is; the first place that has one decides. Default `['bearer']`. */
  from?: TokenPlace[]
  /** Which claims say what. Without `sub`, `username` and `client_id` say who it is, in this order. */
  claims?: ClaimNames
}

/** Keys that were handed out, as `authenticators.<name>.apiKey` says it. */
export interface ApiKeySpec {
  /** Keys by name. */
  keys?: Record<string, KeySpec>
  /** A file in YAML or JSON with more of them, by name; read again within a second of a change. */
  file?: string
  /** Where the key is; the first place that has one decides. Default `['header:X-Api-Key']`. */
  from?: TokenPlace[]
}

/** One key: what is known of it, never the key itself. */
export interface KeySpec {
  /** `sha256:` and the hash in hexadecimal, as `banyan key create` prints it. */
  hash: string
  /** Whose key it is; one subject may have several. Default: the key's name. */
  subject?: string
  scopes?: string[]
  /** When it stops to be valid: a date (its beginning, UTC) or a time of ISO 8601. Default: never. */
  expires?: string
  /** Whether it has been taken back. Taking it out of the configuration does the same. Default false. */
  revoked?: boolean
  /** More that is known of its owner, for rules and headers. */
  claims?: Record<string, unknown>
}

/** Names and passwords (RFC 7617), as `authenticators.<name>.basic` says it. */
export interface BasicSpec {
  users: Record<string, UserSpec>
  /** How long a password that was right is not verified again. Default `'5m'`. */
  cacheFor?: Duration
  /** Passwords verified at the same time; each takes memory and a thread. Default 2. */
  concurrency?: number
  /** Passwords that may wait for it; one more is answered with 503. Default 32. */
  queue?: number
}

export interface UserSpec {
  /** As `banyan password` prints it: scrypt in the PHC string format. */
  hash: string
  scopes?: string[]
  /** More that is known of the user, for rules and headers. */
  claims?: Record<string, unknown>
}

/** Client certificates (mutual TLS), as `authenticators.<name>.certificate` says it. One of the lists must match. */
export interface CertificateSpec {
  /** Distinguished names, `CN=orders,O=Acme`; `*` stands for one value: `CN=*,O=Acme`. */
  subjects?: string[]
  /**
   * Alternative names, `DNS:orders.internal`, `URI:spiffe://acme/ns/shop/sa/orders`; `*` stands for one label, or one
   * segment of a path.
   */
  names?: string[]
  /** SHA-256 of certificates, in hexadecimal; colons do not count. */
  fingerprints?: string[]
  /** Scopes by who it is, exactly as `subject` says it. */
  scopes?: Record<string, string[]>
}

/**
 * Where a request carries a token: `bearer` is `Authorization: Bearer` (RFC 6750 2.1); `cookie:<name>` and
 * `header:<name>` say themselves. Not the query: what stands in a URL ends up in logs and histories.
 */
export type TokenPlace = 'bearer' | `cookie:${string}` | `header:${string}`

/** Which claims say what. */
export interface ClaimNames {
  /** Who it is. Default `sub`. */
  subject?: string
  /** What they may do: text with spaces between, or a list. Default `scope`, else `scp`. */
  scopes?: string
}

/** Where a secret is, so that no configuration holds it. */
export type SecretSpec =
  | {
      /** Name of the environment variable. */
      env: string
    }
  | {
      /** Path of the file; a line break at its end does not count. */
      file: string
    }
