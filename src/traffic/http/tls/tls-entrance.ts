import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type SecureContextOptions, type TLSSocket } from 'node:tls'
import type { Entrance } from '../entrance.js'
import type { Http2Connection } from '../http2/http2-connection.js'
import type { TlsSpec } from '../listener-spec.js'
import { ServerConnection, type Connection, type ConnectionHost } from '../server-connection.js'
import { CertificateSet } from './certificate-set.js'
import { clientTls } from './client-identity.js'
import type { TlsMaterial } from './load.js'

/**
 * Suites of TLS 1.2: forward secrecy and authenticated encryption only, which are also those that HTTP/2 allows
 * (RFC 9113 9.2.2). Those of TLS 1.3 are all like that. The same set as Mozilla's "intermediate" without DHE.
 */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

/** What a TLS entrance is made of. */
export interface TlsEntranceOptions {
  spec: TlsSpec
  material: TlsMaterial
  /** Speaks HTTP/2 where clients choose it; without it they cannot. */
  Http2: typeof Http2Connection | undefined
  /** How long a handshake may take, in ms. */
  handshakeTimeout: number
  /** Observes handshakes that failed: Node's or OpenSSL's code. */
  onFailure: (code: string) => void
}

/** Somebody who shakes hands. */
interface Newcomer {
  host: ConnectionHost
  admit: (connection: Connection) => void
}

/** Makes the entrance of a listener with TLS: handshake, choice of the certificate and of the version of HTTP. */
export function tlsEntrance(options: TlsEntranceOptions): Entrance {
  const { spec, material, Http2, handshakeTimeout, onFailure } = options
  const { clients, minVersion = 'TLSv1.2' } = spec
  const forward = clients?.forward === true ? {} : clients?.forward
  const common: SecureContextOptions = {
    minVersion,
    ciphers: CIPHERS,
    // All suites are good, so the client may take the one that its hardware is fast at.
    honorCipherOrder: false,
    secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
    ...(material.ca ? { ca: [...material.ca] } : {}),
  }
  const certificates = new CertificateSet(material.certificates, common)
  // Never listens: it only shakes hands with the sockets that it is given.
  const server = createServer({
    ...certificates.fallback.options,
    SNICallback: (name, callback) => callback(null, certificates.choose(name).context),
    ALPNProtocols: Http2 ? ['h2', 'http/1.1'] : ['http/1.1'],
    requestCert: clients !== undefined,
    rejectUnauthorized: clients?.mode === 'require',
    handshakeTimeout,
  })
  const newcomers = new Map<string, Newcomer>()
  server.on('secureConnection', (socket: TLSSocket) => {
    const newcomer = newcomers.get(placeOf(socket))
    newcomers.delete(placeOf(socket))
    const tls = newcomer && clientTls(socket, forward)
    if (!newcomer || !tls) {
      if (!tls) onFailure(codeOf(socket.authorizationError))
      socket.destroy()
      return
    }
    const { host, admit } = newcomer
    if (Http2 && socket.alpnProtocol === 'h2') {
      const shown = certificates.choose(tls.serverName)
      admit(new Http2(host, socket, tls, (name) => certificates.isMisdirected(name, shown)))
    } else {
      admit(new ServerConnection(host, socket, tls))
    }
  })
  server.on('tlsClientError', (error, socket) => {
    onFailure(codeOf(error))
    socket.destroy()
  })
  return (socket, host, admit) => {
    const place = placeOf(socket)
    const newcomer = { host, admit }
    newcomers.set(place, newcomer)
    socket.once('close', () => {
      if (newcomers.get(place) === newcomer) newcomers.delete(place)
    })
    server.emit('connection', socket)
  }
}

/** The other end of a connection; no two open connections of a listener have the same. */
function placeOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${remotePort ?? ''}`
}

function codeOf(error: unknown): string {
  if (typeof error === 'string') return error
  const code = (error as NodeJS.ErrnoException | null)?.code
  return code ?? 'unknown'
}
