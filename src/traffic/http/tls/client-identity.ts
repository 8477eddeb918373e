import type { X509Certificate } from 'node:crypto'
import type { TLSSocket } from 'node:tls'
import type { ClientCertificate, ClientTls } from '../exchange.js'
import type { ForwardedCertificateSpec } from '../listener-spec.js'
import { alternativeNames } from './alternative-names.js'

/**
 * What a finished handshake has established.
 *
 * @param forward - what services are told of the client's certificate
 * @returns `undefined` if the client has shown a certificate that is not valid
 */
export function clientTls(
  socket: TLSSocket,
  forward: ForwardedCertificateSpec | undefined,
): ClientTls | undefined {
  const serverName = typeof socket.servername === 'string' ? socket.servername : undefined
  const version = socket.getProtocol() ?? undefined
  const presented = socket.getPeerX509Certificate()
  if (!presented) return { serverName, version, certificate: undefined }
  if (!socket.authorized) return undefined
  const certificate = identityOf(presented)
  if (!forward) return { serverName, version, certificate }
  return { serverName, version, certificate, fields: fieldsOf(presented, certificate, forward) }
}

function identityOf(certificate: X509Certificate): ClientCertificate {
  return {
    // RFC 4514 begins with the most special part, a certificate with the most general one.
    subject: ascii(certificate.subject.split('\n').reverse().join(',')),
    alternativeNames: alternativeNames(certificate.subjectAltName).map(ascii),
    fingerprint: certificate.fingerprint256.replaceAll(':', '').toLowerCase(),
  }
}

function fieldsOf(
  { raw }: X509Certificate,
  { subject, alternativeNames: names }: ClientCertificate,
  forward: ForwardedCertificateSpec,
): string {
  let text = ''
  if (forward.certificate ?? true) text += `Client-Cert: :${raw.toString('base64')}:\r\n`
  if (forward.subject !== undefined) text += `${forward.subject}: ${subject}\r\n`
  if (forward.names !== undefined) text += `${forward.names}: ${names.map(listed).join(', ')}\r\n`
  return text
}

/** A name that would fall apart in a list stands in quotes. */
function listed(name: string): string {
  return /[",\\]/.test(name) ? JSON.stringify(name) : name
}

/** RFC 4514 2.4: what a field cannot hold as the hexadecimal of its UTF-8. */
function ascii(text: string): string {
  return text.replace(/[^\x20-\x7e]/gu, (character) =>
    Array.from(
      Buffer.from(character),
      (byte) => `\\${byte.toString(16).padStart(2, '0').toUpperCase()}`,
    ).join(''),
  )
}
