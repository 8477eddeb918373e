import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'

/** Types of frames (RFC 9113 6). */
export const Frame = {
  Data: 0,
  Headers: 1,
  Reset: 3,
  Settings: 4,
  Ping: 6,
  GoAway: 7,
  WindowUpdate: 8,
} as const

export const END_STREAM = 1
export const ACK = 1
const END_HEADERS = 4
const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

/** A frame as it was received. */
export interface ReceivedFrame {
  type: number
  flags: number
  stream: number
  payload: Buffer
}

/** One end of an HTTP/2 connection that a test plays frame by frame, so that it may do what no library lets it. */
export class FramePeer {
  readonly socket: Socket
  /** What has been received and not yet been taken. */
  readonly frames: ReceivedFrame[] = []
  #buffer = Buffer.alloc(0)
  #prefaced = false
  #waiting: (() => void)[] = []

  constructor(socket: Socket, end: 'client' | 'server' = 'server') {
    this.socket = socket
    if (end === 'client') {
      socket.write(PREFACE)
      this.#prefaced = true
    }
    socket.on('error', () => undefined)
    socket.on('close', () => this.#wake())
    socket.on('data', (data: Buffer) => {
      this.#buffer = Buffer.concat([this.#buffer, data])
      this.#read()
      this.#wake()
    })
    this.send(Frame.Settings, 0, 0)
  }

  /** Opens a connection as a client. */
  static connect(port: number): Promise<FramePeer> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      socket.once('error', reject)
      socket.once('connect', () => resolve(new FramePeer(socket, 'client')))
    })
  }

  send(type: number, flags: number, stream: number, payload: Buffer | string = Buffer.alloc(0)): void {
    const data = Buffer.from(payload as string, 'latin1')
    const head = Buffer.alloc(9)
    head.writeUIntBE(data.length, 0, 3)
    head[3] = type
    head[4] = flags
    head.writeUInt32BE(stream, 5)
    this.socket.write(Buffer.concat([head, data]))
  }

  /** Sends a section of fields, each as a literal without compression. */
  headers(stream: number, fields: readonly (readonly [string, string])[], flags = 0): void {
    const parts = fields.flatMap(([name, value]) => [
      Buffer.from([0, name.length]),
      Buffer.from(name, 'latin1'),
      Buffer.from([value.length]),
      Buffer.from(value, 'latin1'),
    ])
    this.send(Frame.Headers, flags | END_HEADERS, stream, Buffer.concat(parts))
  }

  reset(stream: number, code: number): void {
    this.send(Frame.Reset, 0, stream, word(code))
  }

  goAway(lastStream: number, code = 0): void {
    this.send(Frame.GoAway, 0, 0, Buffer.concat([word(lastStream), word(code)]))
  }

  /** The next frame of that type, taken out. */
  async next(type: number): Promise<ReceivedFrame> {
    for (;;) {
      const index = this.frames.findIndex((frame) => frame.type === type)
      if (index >= 0) return this.frames.splice(index, 1)[0]!
      if (this.socket.destroyed) throw new Error(`the connection closed before a frame of type ${type}`)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** The stream of the next request. */
  async request(): Promise<number> {
    return (await this.next(Frame.Headers)).stream
  }

  async closed(): Promise<void> {
    while (!this.socket.destroyed) await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  #read(): void {
    if (!this.#prefaced) {
      if (this.#buffer.length < PREFACE.length) return
      this.#prefaced = true
      this.#buffer = this.#buffer.subarray(PREFACE.length)
    }
    while (this.#buffer.length >= 9) {
      const end = 9 + this.#buffer.readUIntBE(0, 3)
      if (this.#buffer.length < end) return
      const frame = {
        type: this.#buffer[3]!,
        flags: this.#buffer[4]!,
        stream: this.#buffer.readUInt32BE(5),
        payload: Buffer.from(this.#buffer.subarray(9, end)),
      }
      this.#buffer = this.#buffer.subarray(end)
      if (frame.type === Frame.Settings && frame.flags === 0) this.send(Frame.Settings, ACK, 0)
      this.frames.push(frame)
    }
  }

  #wake(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

/** An HTTP/2 endpoint without TLS that a test plays frame by frame. */
export class FrameUpstream {
  readonly url: string
  readonly #server: Server
  readonly #peers: FramePeer[] = []
  #taken = 0
  #waiting: (() => void)[] = []

  private constructor(server: Server) {
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    this.#server = server
    server.on('connection', (socket) => {
      this.#peers.push(new FramePeer(socket))
      for (const resolve of this.#waiting.splice(0)) resolve()
    })
  }

  static async open(): Promise<FrameUpstream> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    return new FrameUpstream(server)
  }

  /** The next connection. */
  async peer(): Promise<FramePeer> {
    const index = this.#taken++
    while (!this.#peers[index]) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.#peers[index]
  }

  close(): void {
    for (const { socket } of this.#peers) socket.destroy()
    this.#server.close()
  }
}

function word(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32BE(value)
  return buffer
}
