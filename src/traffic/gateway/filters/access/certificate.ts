import type { ClientCertificate } from '../../../http/exchange.js'
import type { Identity } from '../../forwarding.js'
import { invalid, known, NONE, type Authenticator, type AuthenticatorContext } from './authenticator.js'
import type { CertificateSpec } from './spec.js'

/** Characters that `*` does not stand for, by the kind of name. */
const BETWEEN: Readonly<Record<string, string>> = { DNS: '.', URI: '/', email: '@' }

/**
 * Knows programs by the certificate of their TLS connection, which the listener has verified against its authorities
 * before. The subject of the identity is the alternative name that matched, else the distinguished name.
 */
export function certificate(spec: CertificateSpec, { name }: AuthenticatorContext): Authenticator {
  const subjects = (spec.subjects ?? []).map((pattern) => globOf(pattern, ',+\\\\'))
  const names = (spec.names ?? []).map((pattern) => {
    const kind = pattern.slice(0, Math.max(0, pattern.indexOf(':')))
    return globOf(pattern, BETWEEN[kind] ?? '')
  })
  const fingerprints = new Set((spec.fingerprints ?? []).map(plain))
  const seen = new WeakMap<ClientCertificate, Identity | 'other'>()

  const judge = (presented: ClientCertificate): Identity | 'other' => {
    const { subject, alternativeNames, fingerprint } = presented
    const alternative = alternativeNames.find((each) => names.some((glob) => glob.test(each)))
    const matches =
      alternative !== undefined ||
      subjects.some((glob) => glob.test(subject)) ||
      fingerprints.has(plain(fingerprint))
    if (!matches) return 'other'
    const who = alternative ?? subject
    const claims = { sub: who, subject, alternativeNames, fingerprint }
    return { by: name, subject: who, scopes: spec.scopes?.[who] ?? [], claims }
  }

  return {
    name,
    scheme: 'Certificate',
    authenticate({ exchange }) {
      const presented = exchange.client.tls?.certificate
      if (!presented) return NONE
      let identity = seen.get(presented)
      if (identity === undefined) seen.set(presented, (identity = judge(presented)))
      return identity === 'other' ? invalid('a certificate of somebody else') : known(identity)
    },
    // A browser presents its certificate to requests that any site makes.
    isAmbient: () => true,
    hide() {
      // It belongs to the connection, which ends here.
    },
  }
}

/** @param excluded - characters that `*` does not stand for, as in a class of a regular expression */
function globOf(pattern: string, excluded: string): RegExp {
  const one = excluded === '' ? '.+' : `[^${excluded}]+`
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&'))
  return new RegExp(`^${parts.join(one)}$`, 'u')
}

function plain(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase()
}
