/** How what is named may be named: the rules of Kubernetes, of RFC 1123. Each says what is wrong, or nothing. */

const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const QUALIFIED = /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/

/** The longest label of a domain name. */
export const LONGEST_LABEL = 63
/** The longest domain name. */
export const LONGEST_SUBDOMAIN = 253

/** A namespace, a plural: one label of a domain name. */
export function labelMistake(text: unknown): string | undefined {
  if (typeof text !== 'string' || !LABEL.test(text))
    return 'a lowercase RFC 1123 label must consist of lower case letters, digits or `-`, and begin and end with a letter or digit'
  return text.length > LONGEST_LABEL ? `must be no more than ${LONGEST_LABEL} characters` : undefined
}

/** The name of a resource, a group: a domain name. */
export function subdomainMistake(text: unknown): string | undefined {
  if (typeof text !== 'string' || !SUBDOMAIN.test(text))
    return 'a lowercase RFC 1123 subdomain must consist of lower case letters, digits, `-` or `.`, and begin and end with a letter or digit'
  return text.length > LONGEST_SUBDOMAIN ? `must be no more than ${LONGEST_SUBDOMAIN} characters` : undefined
}

/** The key of a label, the name of a finalizer: `name` or `domain/name`. */
export function qualifiedNameMistake(text: unknown): string | undefined {
  if (typeof text !== 'string') return 'must be text'
  const parts = text.split('/')
  const name = parts.pop()!
  if (parts.length > 1) return 'must be a name with at most one `/`, behind a domain'
  if (!QUALIFIED.test(name))
    return 'its name must consist of letters, digits, `-`, `_` or `.`, and begin and end with a letter or digit'
  if (name.length > LONGEST_LABEL) return `its name must be no more than ${LONGEST_LABEL} characters`
  return parts[0] === undefined ? undefined : prefixed(subdomainMistake(parts[0]))
}

/** The value of a label. */
export function labelValueMistake(text: unknown): string | undefined {
  if (typeof text !== 'string') return 'must be text'
  if (text === '') return undefined
  if (!QUALIFIED.test(text))
    return 'must consist of letters, digits, `-`, `_` or `.`, and begin and end with a letter or digit'
  return text.length > LONGEST_LABEL ? `must be no more than ${LONGEST_LABEL} characters` : undefined
}

function prefixed(mistake: string | undefined): string | undefined {
  return mistake === undefined ? undefined : `its domain: ${mistake}`
}
