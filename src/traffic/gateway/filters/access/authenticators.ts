import { BanyanError } from '../../../../core/errors.js'
import { apiKey } from './api-key.js'
import type { Authenticator, AuthenticatorContext } from './authenticator.js'
import { basic } from './basic.js'
import { certificate } from './certificate.js'
import { introspection } from './introspection.js'
import type { AuthenticatorSpec } from './spec.js'

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
