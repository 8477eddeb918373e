import type { ConfigChange } from './diff.js'

/** What stands in the place of a secret. */
export const HIDDEN = '(hidden)'

/** Names of fields that hold what nobody but the node should read; also of header fields that are set. */
const SECRET =
  /^(?:.*[_-])?(?:hash|password|passwd|passphrase|secret|token|credentials?|authorization|cookie|api[_-]?key|private[_-]?key)s?$|.(?:Password|Passphrase|Secret|Token|Credentials?|ApiKey|PrivateKey)s?$/i

/** The private parts of a JSON Web Key (RFC 7518, section 6). */
const KEY_PARTS: ReadonlySet<string> = new Set(['k', 'd', 'p', 'q', 'dp', 'dq', 'qi', 'oth'])

/** `value` with every secret in it hidden, for diffs and the admin API. */
export function redact(value: unknown, name = ''): unknown {
  if (SECRET.test(name) && isText(value)) return hide(value)
  if (typeof value === 'string') return withoutPassword(value)
  if (Array.isArray(value)) return value.map((each) => redact(each))
  if (!isRecord(value)) return value
  const isKey = 'kty' in value
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [
      key,
      isKey && KEY_PARTS.has(key) ? HIDDEN : redact(each, key),
    ]),
  )
}

/** A difference with the secrets hidden on both sides; that they differ is still told. */
export function redactChange({ kind, path, before, after }: ConfigChange): ConfigChange {
  const [above = '', name = ''] = ['', '', ...path].slice(-2).map(String)
  // Of a map of secrets, or a list of them, a single one.
  const one = SECRET.test(above) && !REFERENCES.has(name)
  const side = (value: unknown): unknown =>
    (one && isText(value)) || KEY_PARTS.has(name) ? hide(value) : redact(value, name)
  return {
    kind,
    path: path.map((part) => (typeof part === 'string' ? withoutPassword(part) : part)),
    ...(before === undefined ? {} : { before: side(before) }),
    ...(after === undefined ? {} : { after: side(after) }),
  }
}

/** Where a secret is, in place of the secret itself. */
const REFERENCES: ReadonlySet<string> = new Set(['env', 'file'])

/** Numbers and switches under such a name are settings, and an object with objects in it is a group of them. */
function isText(value: unknown): boolean {
  if (!isRecord(value)) return isWords(value)
  return Object.entries(value).every(([name, each]) => !REFERENCES.has(name) && isWords(each))
}

function isWords(value: unknown): boolean {
  return (
    typeof value === 'string' || (Array.isArray(value) && value.every((each) => typeof each === 'string'))
  )
}

/** Keeps the form, so that one can see how many there are and by which names. */
function hide(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hide)
  if (isRecord(value))
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, hide(each)]))
  return HIDDEN
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A URL without who logs in there, in front of the host or, as databases take it too, in the query. */
function withoutPassword(text: string): string {
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) return text
  return text
    .replace(/^([^:]*:\/\/)[^/?#]*@/, `$1${HIDDEN}@`)
    .replace(/([?&](?:[a-z_-]*password|token|secret)=)[^&#]*/gi, `$1${HIDDEN}`)
}
