import { isAlias, type Fields } from '../http/fields.js'
import type { GatewaySpec } from './spec.js'

/**
 * The fields by which a gateway tells services who asks, in lower case; `undefined` if it tells none. They are its own on
 * every route: a service that believes them on one believes them on all.
 */
export function ownFields({ routes }: GatewaySpec): readonly string[] | undefined {
  const names = Object.values(routes).flatMap(({ access }) => Object.keys(access?.identityHeaders ?? {}))
  return names.length > 0 ? [...new Set(names.map((name) => name.toLowerCase()))] : undefined
}

/** Takes out what a client says in fields of ours, also under names that servers after CGI take for them. */
export function dropOwn(fields: Fields, own: readonly string[]): void {
  const found = fields.names.filter((name) => own.some((each) => isAlias(name, each)))
  for (const name of found) fields.delete(name.toLowerCase())
}
