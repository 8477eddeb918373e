import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** Stands between clients and a server on this machine, so that what is between them can fail. */
export class Relay implements AsyncDisposable {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #silent = new Set<Socket>()

  private constructor(server: Server) {
    this.#server = server
  }

  /** @param port - of the server; may change, as it is asked for each connection */
  static async start(port: () => number): Promise<Relay> {
    const server = createServer((socket) => relay.#join(socket, connect(port(), '127.0.0.1')))
    const relay = new Relay(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return relay
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Ends all connections with a reset; new ones can be made at once. */
  cut(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Lets nothing more through on the connections that there are, and tells nobody; new ones are not concerned. */
  silence(): void {
    for (const socket of this.#sockets) {
      this.#silent.add(socket)
      socket.unpipe()
      socket.pause()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve))
    this.cut()
    await closed
  }

  #join(client: Socket, server: Socket): void {
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(from)
      from.setNoDelay()
      from.pipe(to)
      from.on('error', () => undefined)
      from.on('close', () => {
        this.#sockets.delete(from)
        if (!this.#silent.delete(from)) to.destroy()
      })
    }
  }
}
