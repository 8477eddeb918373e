/** What stands for a value that is not logged. */
export const REDACTED = '***'

/** Names of header fields and parameters whose values are secrets wherever they are met. */
const SECRETS = [
  'authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key', 'api-key', 'api_key', 'apikey',
  'x-auth-token', 'x-access-token', 'x-csrf-token', 'x-xsrf-token', 'x-amz-security-token', 'x-amz-signature',
  'x-amz-credential', 'x-goog-signature', 'token', 'access_token', 'refresh_token', 'id_token', 'auth', 'jwt',
  'password', 'passwd', 'pwd', 'secret', 'client_secret', 'client_assertion', 'code', 'signature', 'sig', 'key',
  'session', 'sessionid', 'session_id', 'sid', 'otp',
] // prettier-ignore

/** Decides what of a request may be written down. */
export class Redaction {
  readonly #secrets: ReadonlySet<string>
  readonly #kept: ReadonlySet<string> | '*'

  /**
   * @param more - further names of secrets
   * @param kept - parameters that are no secrets though they may be called like one, or `*` for all but secrets
   */
  constructor(more: readonly string[], kept: readonly string[] | '*') {
    const named = kept === '*' ? [] : kept.map((name) => name.toLowerCase())
    const secrets = new Set(SECRETS)
    for (const name of named) secrets.delete(name)
    for (const name of more) secrets.add(name.toLowerCase())
    this.#secrets = secrets
    this.#kept = kept === '*' ? '*' : new Set(named)
  }

  /** The value of a header field as it may be written. */
  header(lower: string, value: string): string {
    return this.#secrets.has(lower) ? REDACTED : value
  }

  /**
   * A query with the values that may be written.
   *
   * @param query - with or without its question mark
   */
  query(query: string): string {
    return query
      .replace(/^\?/, '')
      .split('&')
      .map((part) => {
        const equals = part.indexOf('=')
        if (equals < 0 || equals === part.length - 1) return this.#mayStand(part) ? part : REDACTED
        return this.#keeps(nameOf(part.slice(0, equals))) ? part : `${part.slice(0, equals)}=${REDACTED}`
      })
      .join('&')
  }

  /** A parameter without a value may be a value without a name: a token as the whole query. */
  #mayStand(part: string): boolean {
    return part.endsWith('=') || part === '' || this.#keeps(nameOf(part)) || /^[A-Za-z_-]{1,20}$/.test(part)
  }

  #keeps(name: string): boolean {
    return !this.#secrets.has(name) && (this.#kept === '*' || this.#kept.has(name))
  }
}

function nameOf(text: string): string {
  if (!/[%+]/.test(text)) return text.toLowerCase()
  try {
    return decodeURIComponent(text.replaceAll('+', ' ')).toLowerCase()
  } catch {
    return text.toLowerCase()
  }
}
