import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { readPieces, type ReadMessage } from './http-messages.js'

/** A client that speaks bytes. */
export class RawClient {
  readonly socket: Socket
  #chunks: Buffer[] = []
  #length = 0
  #closed = false
  #changed: (() => void)[] = []

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      this.#chunks.push(data)
      this.#length += data.length
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('end', () => {
      this.#closed = true
      this.#wake()
    })
    socket.on('close', () => {
      this.#closed = true
      this.#wake()
    })
  }

  static open(port: number): Promise<RawClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new RawClient(socket)))
    })
  }

  send(text: string): this {
    this.socket.write(text, 'latin1')
    return this
  }

  get #received(): Buffer {
    if (this.#chunks.length !== 1) this.#chunks = [Buffer.concat(this.#chunks)]
    return this.#chunks[0]!
  }

  /** Everything received so far. */
  get text(): string {
    return this.#received.toString('latin1')
  }

  /** How many bytes that is. */
  get length(): number {
    return this.#length
  }

  /** Waits until what was received fulfils a condition, or the connection has ended. */
  async until(condition: (text: string) => boolean): Promise<string> {
    while (!condition(this.text) && !this.#closed) await this.#change()
    return this.text
  }

  /** Waits for the next `count` complete responses and takes them out; fewer if the connection ends first. */
  async responses(count: number, method: string | readonly string[] = 'GET'): Promise<ReadMessage[]> {
    const complete = (): ReadMessage[] =>
      readPieces('response', [this.#received], {}, method).messages.filter((message) => message.complete)
    while (complete().length < count && !this.#closed) await this.#change()
    const messages = complete()
    this.#chunks = []
    this.#length = 0
    return messages
  }

  /** Sends a request and waits for its response. */
  async ask(text: string, method = 'GET'): Promise<ReadMessage> {
    const [response] = await this.send(text).responses(1, method)
    if (!response) throw new Error(`no complete response, but ${JSON.stringify(this.text)}`)
    return response
  }

  /** Waits until the other side has closed. */
  async closed(): Promise<void> {
    while (!this.#closed) await this.#change()
  }

  destroy(): void {
    this.socket.destroy()
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve))
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}

/** One connection at an upstream that a test plays itself. */
export class RawPeer {
  readonly socket: Socket
  text = ''
  closed = false
  #changed: (() => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (data: Buffer) => {
      this.text += data.toString('latin1')
      this.#wake()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => {
      this.closed = true
      this.#wake()
    })
  }

  /** Waits for bytes, or for the end. */
  async until(condition: (text: string) => boolean): Promise<string> {
    while (!condition(this.text) && !this.closed)
      await new Promise<void>((resolve) => this.#changed.push(resolve))
    return this.text
  }

  /** Waits for the head of a request and takes what has come. */
  async request(): Promise<string> {
    const text = await this.until((each) => each.includes('\r\n\r\n'))
    this.text = ''
    return text
  }

  reply(text: string): void {
    this.socket.write(text, 'latin1')
  }

  async end(): Promise<void> {
    await this.until(() => false)
  }

  #wake(): void {
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}

/** An upstream that a test plays itself, connection by connection. */
export class RawUpstream {
  readonly #server: Server
  readonly peers: RawPeer[] = []
  #waiting: ((peer: RawPeer) => void)[] = []
  #taken = 0
  readonly port: number

  private constructor(server: Server) {
    this.port = (server.address() as AddressInfo).port
    this.#server = server
    server.on('connection', (socket) => {
      const peer = new RawPeer(socket)
      this.peers.push(peer)
      this.#waiting.shift()?.(peer)
    })
  }

  static async open(): Promise<RawUpstream> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new RawUpstream(server)
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The next connection. */
  async peer(): Promise<RawPeer> {
    const index = this.#taken++
    const known = this.peers[index]
    return known ?? (await new Promise((resolve) => this.#waiting.push(resolve)))
  }

  close(): void {
    for (const { socket } of this.peers) socket.destroy()
    this.#server.close()
  }
}
