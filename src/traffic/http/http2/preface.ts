import type { Socket } from 'node:net'
import type { Entrance } from '../entrance.js'
import { ServerConnection, type Connection, type ConnectionHost } from '../server-connection.js'
import type { Sweepable } from '../sweeper.js'
import { Http2Connection } from './http2-connection.js'

/** What a client of HTTP/2 begins with (RFC 9113 3.4); no request of HTTP/1 can. */
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

/** Takes HTTP/1 and HTTP/2 on one port without TLS: the first bytes tell them apart. */
export const prefaceEntrance: Entrance = (socket, host, admit) => {
  new PrefaceReader(socket, host, admit)
}

/** Reads just as much as tells what a client speaks. */
class PrefaceReader implements Sweepable {
  deadline: number
  readonly #socket: Socket
  readonly #host: ConnectionHost
  readonly #admit: (connection: Connection) => void
  #seen: Buffer = Buffer.alloc(0)

  constructor(socket: Socket, host: ConnectionHost, admit: (connection: Connection) => void) {
    this.#socket = socket
    this.#host = host
    this.#admit = admit
    this.deadline = host.sweeper.after(host.limits.headTimeout)
    host.sweeper.add(this)
    socket.on('readable', this.#onReadable)
    socket.on('end', this.#onEnd)
    socket.on('error', this.#onError)
    socket.on('close', this.#onClose)
  }

  expire(): void {
    this.#socket.destroy()
  }

  readonly #onReadable = (): void => {
    const data = this.#socket.read() as Buffer | null
    if (data === null) return
    this.#seen = Buffer.concat([this.#seen, data])
    const seen = this.#seen
    const length = Math.min(seen.length, PREFACE.length)
    const isPreface = seen.compare(PREFACE, 0, length, 0, length) === 0
    if (isPreface && length < PREFACE.length) return
    this.#forget()
    this.#socket.unshift(seen)
    const Kind = isPreface ? Http2Connection : ServerConnection
    this.#admit(new Kind(this.#host, this.#socket))
  }

  readonly #onEnd = (): void => {
    this.#socket.destroy()
  }

  readonly #onError = (): void => {
    // Always followed by 'close', which is what counts.
  }

  readonly #onClose = (): void => this.#forget()

  #forget(): void {
    this.#host.sweeper.delete(this)
    this.#socket.off('readable', this.#onReadable)
    this.#socket.off('end', this.#onEnd)
    this.#socket.off('error', this.#onError)
    this.#socket.off('close', this.#onClose)
  }
}
