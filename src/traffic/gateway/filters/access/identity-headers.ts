import type { Forwarding, Identity } from '../../forwarding.js'
import { claimAt } from './claims.js'
import type { IdentityHeaders } from './spec.js'

/** Tells the service who asks, in fields that no client can set. */
export function tellIdentity(forwarding: Forwarding, identity: Identity, headers: IdentityHeaders): void {
  for (const [name, what] of Object.entries(headers)) {
    const value = fieldValue(valueOf(identity, what))
    if (value !== undefined) forwarding.setField(name, value)
  }
}

function valueOf({ by, subject, scopes, claims }: Identity, what: string): unknown {
  if (what === 'scopes') return scopes.join(' ')
  if (what === 'by') return by
  // Whoever it is by the configuration, also where another claim says so.
  return what === 'sub' ? subject : claimAt(claims, what)
}

/**
 * A claim as a field value. Numbers and truth values as JSON writes them, lists with commas between, objects as JSON.
 * Whatever is no visible ASCII, and the per cent sign, is percent-encoded UTF-8, in lists the comma too: nobody can
 * smuggle in a line break or a further entry, and `decodeURIComponent` gives back what it was.
 */
function fieldValue(value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined
  if (Array.isArray(value)) {
    return value.map((each) => encoded(textOf(each)).replaceAll(',', '%2C')).join(',')
  }
  return encoded(textOf(value))
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function encoded(text: string): string {
  // White space at the ends would be lost, and half a pair of UTF-16 cannot be written.
  return text.replace(/[^\x20-\x7e]|%|^ | $/gu, (each) =>
    encodeURIComponent(/[\ud800-\udfff]/u.test(each) ? '\ufffd' : each),
  )
}
