import type { Runtime } from '../../../../core/runtime.js'
import type { Forwarding, Identity } from '../../forwarding.js'

/**
 * Finds out who asks.
 *
 * Laws:
 * - An identity is given only for credentials that were verified, never for what merely looks like them.
 * - `none` means that the request carries no credentials of this kind; credentials that are wrong are `invalid`.
 * - What is not known because something cannot be reached is `unavailable`, never `invalid` and never an identity.
 * - A reason is for logs: it says what was wrong, and holds nothing of the credentials.
 */
export interface Authenticator {
  /** What the configuration calls it. */
  readonly name: string
  /** The authentication scheme for `WWW-Authenticate`. */
  readonly scheme: string
  authenticate(forwarding: Forwarding): Outcome | Promise<Outcome>
  /** Whether the request's credentials are such that browsers add them to what pages of any origin cause. */
  isAmbient(forwarding: Forwarding): boolean
  /** Takes the credentials out of the request as the service gets it. */
  hide(forwarding: Forwarding): void
}

/** What came of looking for an identity. */
export type Outcome =
  | { readonly kind: 'none' }
  | { readonly kind: 'known'; readonly identity: Identity }
  | { readonly kind: 'invalid'; readonly error: TokenError; readonly reason: string }
  /** `retryAfter` in ms. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfter: number }

/** RFC 6750 3.1: the request itself is wrong, or its token is. */
export type TokenError = 'invalid_request' | 'invalid_token'

export const NONE: Outcome = { kind: 'none' }

export function known(identity: Identity): Outcome {
  return { kind: 'known', identity }
}

export function invalid(reason: string, error: TokenError = 'invalid_token'): Outcome {
  return { kind: 'invalid', error, reason }
}

export function unavailable(reason: string, retryAfter: number): Outcome {
  return { kind: 'unavailable', reason, retryAfter }
}

/** What an authenticator is made with. */
export interface AuthenticatorContext {
  readonly name: string
  readonly runtime: Runtime
  /** Asks other servers; `globalThis.fetch` but for tests. */
  readonly fetch: typeof fetch
}
