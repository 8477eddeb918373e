import type { ConfigChange } from './diff.js'
import type { Path } from './problem.js'

/** What stands in the place of a secret. */
export const HIDDEN = '(hidden)'

/** Names of fields that hold what nobody but the node should read. */
const SECRET =
  /^(?:(?:.*[_-])?(?:password|passwd|passphrase|secret|token|credentials?|authorization|cookie|api[_-]?key|private[_-]?key)s?|.*(?:Password|Passphrase|Secret|Token|Credentials?|ApiKey|PrivateKey)s?)$/i

/** `value` with every secret in it hidden, for logs, diffs and the admin API. */
export function redact(value: unknown, path: Path = []): unknown {
  if (path.some((part) => SECRET.test(String(part))) && holdsText(value)) return hide(value)
  if (typeof value === 'string') return withoutUserinfo(value)
  if (Array.isArray(value)) return value.map((each, index) => redact(each, [...path, index]))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([name, each]: [string, unknown]) => [name, redact(each, [...path, name])]),
  )
}

/** A difference with the secrets hidden on both sides; that they differ is still told. */
export function redactChange({ before, after, ...change }: ConfigChange): ConfigChange {
  const { path } = change
  return {
    ...change,
    path: path.map((part) => (typeof part === 'string' ? withoutUserinfo(part) : part)),
    ...(before === undefined ? {} : { before: redact(before, path) }),
    ...(after === undefined ? {} : { after: redact(after, path) }),
  }
}

/** Numbers and switches under such a name are settings (`tokens: 5`), not secrets. */
function holdsText(value: unknown): boolean {
  return typeof value === 'string' || (typeof value === 'object' && value !== null)
}

/** Keeps the form, so that one can see how many there are and by which names. */
function hide(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(hide)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, hide(each)]))
  return typeof value === 'string' ? HIDDEN : value
}

function withoutUserinfo(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#@]*@/i, `$1${HIDDEN}@`)
}
