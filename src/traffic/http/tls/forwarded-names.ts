import type { ListenerSpec } from '../listener-spec.js'

/** The fields, in lower case, in which a listener tells services about client certificates, besides Client-Cert. */
export function forwardedNames({ tls }: ListenerSpec): string[] {
  const forward = tls?.clients?.forward
  if (forward === undefined || forward === true) return []
  return [forward.subject, forward.names].flatMap((name) => (name === undefined ? [] : name.toLowerCase()))
}
