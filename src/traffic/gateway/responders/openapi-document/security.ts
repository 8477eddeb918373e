import type { AccessSpec, AuthenticatorSpec, TokenPlace } from '../../filters/access/spec.js'

/** A security scheme of OpenAPI, and the requirement that names it. */
export interface Security {
  readonly schemes: Readonly<Record<string, object>>
  /** One of these is enough. */
  readonly requirements: readonly Readonly<Record<string, readonly string[]>>[]
}

/** What a route's `access` asks of clients, as OpenAPI says it. Says how to ask, and nothing of what is checked. */
export function securityOf(
  { by = [], optional = false, allow }: AccessSpec,
  authenticators: Readonly<Record<string, AuthenticatorSpec>>,
): Security {
  const schemes: Record<string, object> = {}
  const requirements: Record<string, readonly string[]>[] = []
  for (const name of [by].flat()) {
    for (const [scheme, description] of schemesOf(name, authenticators[name] ?? {})) {
      schemes[scheme] = description
      requirements.push({ [scheme]: allow?.scopes ?? [] })
    }
  }
  return { schemes, requirements: optional ? [...requirements, {}] : requirements }
}

function schemesOf(name: string, authenticator: AuthenticatorSpec): [string, object][] {
  const { jwt, introspection, apiKey, basic, certificate } = authenticator
  if (jwt) return placesOf(name, jwt.from ?? ['bearer'], 'JWT')
  if (introspection) return placesOf(name, introspection.from ?? ['bearer'], undefined)
  if (apiKey) return placesOf(name, apiKey.from ?? ['header:X-Api-Key'], undefined)
  if (basic) return [[name, { type: 'http', scheme: 'basic' }]]
  return certificate ? [[name, { type: 'mutualTLS' }]] : []
}

function placesOf(
  name: string,
  places: readonly TokenPlace[],
  bearerFormat: string | undefined,
): [string, object][] {
  return places.map((place, index) => {
    const [where, field] = place.split(':', 2)
    const scheme = index === 0 ? name : `${name}_${index + 1}`
    if (where === 'bearer')
      return [scheme, { type: 'http', scheme: 'bearer', ...(bearerFormat ? { bearerFormat } : {}) }]
    return [scheme, { type: 'apiKey', in: where, name: field }]
  })
}
