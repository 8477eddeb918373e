import { connect as connectTcp, isIP, type OnReadOpts, type Socket } from 'node:net'
import { checkServerIdentity, connect as connectTls, type SecureContext, type TLSSocket } from 'node:tls'
import { UpstreamError } from '../../errors.js'
import type { UpstreamTls } from './tls.js'

/** Where an endpoint is. */
export interface Address {
  /** Name or IP address; what a certificate must be for. */
  readonly host: string
  /** One of the IP addresses of the host, to connect to; without it the system finds one for each connection. */
  readonly address?: string
  readonly port: number
  readonly tls: boolean
}

/** What is spoken to an endpoint; `auto` lets TLS find out (ALPN), and is HTTP/1.1 without TLS. */
export type UpstreamProtocol = 'http1' | 'http2' | 'auto'

/** A connection, and what is spoken on it. */
export interface Connected {
  readonly socket: Socket
  readonly protocol: 'http1' | 'http2'
}

const OFFERS: Record<UpstreamProtocol, string[]> = {
  http1: ['http/1.1'],
  http2: ['h2'],
  auto: ['h2', 'http/1.1'],
}

/** Opens connections to one endpoint. */
export class Connector {
  readonly #address: Address
  readonly #label: string
  readonly #protocol: UpstreamProtocol
  readonly #tls: UpstreamTls | undefined
  /** The last TLS session, and the context it is good for: whoever resumes it need not prove itself again. */
  #session: Buffer | undefined = undefined
  #sessionOf: SecureContext | undefined = undefined

  /**
   * @param label - what errors call the endpoint
   * @param tls - must be there if the address says so
   */
  constructor(address: Address, label: string, protocol: UpstreamProtocol, tls: UpstreamTls | undefined) {
    this.#address = address
    this.#label = label
    this.#protocol = protocol
    this.#tls = address.tls ? tls : undefined
  }

  /**
   * Opens a connection.
   *
   * @param cancelled - gets the function that gives the attempt up
   * @returns rejects with an {@link UpstreamError} `BANYAN_UPSTREAM_CONNECT`
   */
  connect(cancelled: (cancel: (why: string) => void) => void): Promise<Connected> {
    return new Promise((resolve, reject) => {
      let socket: Socket | undefined
      let settled = false
      // Stays for good: a socket without a listener for its errors takes the process with it.
      const fail = (error: Error): void => {
        if (settled) return
        settled = true
        socket?.destroy()
        reject(this.#error(error))
      }
      const open = (opened: Socket, event: string, check: () => Connected): void => {
        socket = opened
        socket.on('error', fail)
        socket.once(event, () => {
          if (settled) return
          try {
            const connected = check()
            settled = true
            resolve(connected)
          } catch (error) {
            fail(error as Error)
          }
        })
      }
      cancelled((why) => fail(new Error(why)))
      const tls = this.#tls
      if (!tls) {
        const plain = this.#openPlain()
        const protocol = this.#protocol === 'http2' ? 'http2' : 'http1'
        open(plain, 'connect', () => ({ socket: plain, protocol }))
        return
      }
      tls.context().then((context) => {
        if (settled) return
        const secure = this.#openSecure(tls, context)
        open(secure, 'secureConnect', () => this.#checked(secure))
      }, fail)
    })
  }

  #openPlain(): Socket {
    const { host, address = host, port } = this.#address
    const common = { host: address, port, noDelay: true, keepAlive: true }
    // Node's HTTP/2 takes the bytes from below, and decides itself on the end of the connection.
    if (this.#protocol === 'http2') return connectTcp(common)
    const socket: Socket = connectTcp({ ...common, allowHalfOpen: true, onread: lend(() => socket) })
    return socket
  }

  #openSecure(tls: UpstreamTls, context: SecureContext): TLSSocket {
    const { host, address = host, port } = this.#address
    const name = tls.serverName ?? host
    const session = this.#sessionOf === context ? this.#session : undefined
    const socket = connectTls({
      host: address,
      port,
      // Names that are addresses are not sent (RFC 6066 3), and checked all the same.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
      secureContext: context,
      rejectUnauthorized: tls.verify,
      ALPNProtocols: OFFERS[this.#protocol],
      ...(session ? { session } : {}),
    })
    socket.setNoDelay(true)
    socket.setKeepAlive(true)
    socket.on('session', (ticket) => {
      this.#session = ticket
      this.#sessionOf = context
    })
    // A session that the endpoint does not like any more must not fail every attempt from now on.
    socket.once('error', () => (this.#session = undefined))
    return socket
  }

  #checked(socket: TLSSocket): Connected {
    const chosen = socket.alpnProtocol
    if (chosen === 'h2') return { socket, protocol: 'http2' }
    if (this.#protocol === 'http2') throw new Error('the endpoint does not offer HTTP/2')
    return { socket, protocol: 'http1' }
  }

  #error(error: Error): UpstreamError {
    const message = `${this.#label}: cannot connect (${error.message})`
    return new UpstreamError('BANYAN_UPSTREAM_CONNECT', message, false, { cause: error })
  }
}

/** Where every plain connection of HTTP/1 reads into, one at a time: Node would allocate as much for each read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024)

/** Reads into the common buffer, and hands on as `data` a copy of just what was read. */
function lend(socket: () => Socket): OnReadOpts {
  return {
    buffer: READ_BUFFER,
    callback: (bytes, buffer) => {
      socket().emit('data', Buffer.from(buffer.subarray(0, bytes)))
      return true
    },
  }
}
