import type { Outcome } from './authenticator.js'
import type { Denial } from './authorization.js'

/**
 * One challenge of `WWW-Authenticate` (RFC 9110 11.6.1), for `Bearer` with the error codes of RFC 6750 3.1.
 *
 * @param outcome - what was wrong with the credentials, if there were any
 * @param denial - why somebody who is known may not pass
 */
export function challenge(
  scheme: string,
  realm: string,
  outcome: Outcome | undefined,
  denial: Denial,
): string {
  const parameters = [`realm=${quoted(realm)}`]
  if (scheme === 'Basic') parameters.push('charset="UTF-8"')
  if (scheme === 'Bearer') {
    if (outcome?.kind === 'invalid') parameters.push(`error="${outcome.error}"`)
    if (denial?.scopes) {
      parameters.push('error="insufficient_scope"', `scope=${quoted(denial.scopes.join(' '))}`)
    }
  }
  return `${scheme} ${parameters.join(', ')}`
}

function quoted(text: string): string {
  return `"${text.replace(/[^\x20-\x7e]/g, '?').replace(/["\\]/g, '\\$&')}"`
}
