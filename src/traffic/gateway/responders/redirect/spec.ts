/** Sends clients somewhere else. What is not said stays as the client asked for it; the query always does. */
export interface RedirectSpec {
  scheme?: 'http' | 'https'
  /** Host, with a port if it is not the scheme's own. */
  host?: string
  /** Replaces the matched prefix (for `/prefix/*`), or the whole path; may use `:name` parts of a pattern. */
  path?: string
  /** Default 308: for good, with the same method. */
  status?: 301 | 302 | 303 | 307 | 308
}
