import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

/** A TCP proxy that loses connections when it is told to: before, while, and after something is on its way. */
export class LossyProxy implements AsyncDisposable {
  readonly port: number
  readonly #server: ReturnType<typeof createServer>
  readonly #pairs = new Set<{ client: Socket; server: Socket }>()
  #lose: { pattern: string; lost: (deliver: () => void) => void } | undefined
  #deaf: string | undefined

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
  }

  static async start(target: number): Promise<LossyProxy> {
    const listening = createServer({ allowHalfOpen: false })
    await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
    const proxy = new LossyProxy(listening)
    listening.on('connection', (client) => proxy.#join(client, target))
    return proxy
  }

  /**
   * Breaks the connection of the next client that sends a text, and keeps what it has sent.
   *
   * @returns when it has; delivers it to the server, as a network does that was only slow
   */
  loseNext(pattern: string): Promise<() => void> {
    return new Promise((resolve) => {
      this.#lose = { pattern, lost: resolve }
    })
  }

  /** Breaks the connection of the next client that sends a text, once the server has answered: the answer is lost. */
  loseNextAnswer(pattern: string): void {
    this.#deaf = pattern
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { client, server } of this.#pairs) {
      client.destroy()
      server.destroy()
    }
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #join(client: Socket, target: number): void {
    const server = connect(target, '127.0.0.1')
    const pair = { client, server }
    let deaf = false
    this.#pairs.add(pair)
    client.on('error', () => undefined)
    server.on('error', () => undefined)
    client.on('data', (chunk) => {
      if (this.#lose && chunk.includes(this.#lose.pattern)) {
        const { lost } = this.#lose
        this.#lose = undefined
        client.destroy()
        lost(() => server.write(chunk))
        return
      }
      if (this.#deaf !== undefined && chunk.includes(this.#deaf)) {
        this.#deaf = undefined
        deaf = true
      }
      server.write(chunk)
    })
    server.on('data', (chunk) => {
      if (deaf) client.destroy()
      else client.write(chunk)
    })
    server.on('close', () => {
      this.#pairs.delete(pair)
      client.destroy()
    })
    // What the client has lost may still be delivered: its end is not passed on.
  }
}
