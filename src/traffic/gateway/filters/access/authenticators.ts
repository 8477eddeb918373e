import { BanyanError } from '../../../../core/errors.js'
import { apiKey, type ApiKeySpec } from './api-key.js'
import type { Authenticator, AuthenticatorContext } from './authenticator.js'
import { basic, type BasicSpec } from './basic.js'
import { certificate, type CertificateSpec } from './certificate.js'
import { introspection, type IntrospectionSpec } from './introspection.js'
import type { JwtSpec } from './jwt.js'

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

/**
 * Makes an authenticator; loads what its kind needs.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if it cannot be had
 */
export async function buildAuthenticator(
  spec: AuthenticatorSpec,
  context: AuthenticatorContext,
): Promise<Authenticator> {
  if (spec.jwt) return (await import('./jwt.js')).jwt(spec.jwt, context)
  if (spec.introspection) return introspection(spec.introspection, context)
  if (spec.apiKey) return apiKey(spec.apiKey, context)
  if (spec.basic) return basic(spec.basic, context)
  if (spec.certificate) return certificate(spec.certificate, context)
  throw new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `authenticators.${context.name}: must say how: jwt, introspection, apiKey, basic or certificate`,
  )
}
