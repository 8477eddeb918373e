import {
  connect,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type SecureClientSessionOptions,
} from 'node:http2'

/** An answer as a client has received it. */
export interface ReceivedAnswer {
  status: number
  headers: IncomingHttpHeaders
  body: string
  trailers: IncomingHttpHeaders | undefined
  /** Interim answers before it. */
  interims: IncomingHttpHeaders[]
}

/** One connection of a client that speaks HTTP/2. */
export class Http2Client {
  readonly session: ClientHttp2Session

  private constructor(session: ClientHttp2Session) {
    this.session = session
  }

  /** Connects; rejects if the handshake fails. */
  static open(origin: string, options: SecureClientSessionOptions = {}): Promise<Http2Client> {
    return new Promise((resolve, reject) => {
      const session = connect(origin, options)
      session.once('error', reject)
      session.once('remoteSettings', () => {
        session.on('error', () => undefined)
        resolve(new Http2Client(session))
      })
    })
  }

  /** Begins a request. */
  request(headers: OutgoingHttpHeaders, options?: { endStream?: boolean }): ClientHttp2Stream {
    const stream = this.session.request({ ':authority': 'shop.example', ...headers }, options)
    stream.on('error', () => undefined)
    return stream
  }

  /** Sends a whole request and waits for its answer. */
  ask(headers: OutgoingHttpHeaders = {}, body?: string | Buffer): Promise<ReceivedAnswer> {
    const stream = this.request({ ':method': body === undefined ? 'GET' : 'POST', ...headers })
    if (body !== undefined) stream.end(body)
    return answerOf(stream)
  }

  /** Waits until the connection is over. */
  async closed(): Promise<void> {
    if (!this.session.destroyed) await new Promise((resolve) => this.session.once('close', resolve))
  }

  close(): void {
    this.session.destroy()
  }
}

/** The answer to a request; rejects with the stream's code if it is reset before. */
export function answerOf(stream: ClientHttp2Stream): Promise<ReceivedAnswer> {
  return new Promise((resolve, reject) => {
    const answer: ReceivedAnswer = { status: 0, headers: {}, body: '', trailers: undefined, interims: [] }
    stream.on('headers', (headers) => answer.interims.push(headers))
    stream.on('response', (headers) => {
      answer.headers = headers
      answer.status = headers[':status'] ?? 0
    })
    stream.on('data', (data: Buffer) => (answer.body += data.toString('latin1')))
    stream.on('trailers', (trailers: IncomingHttpHeaders) => (answer.trailers = trailers))
    stream.on('close', () => {
      if (stream.rstCode === 0 && answer.status > 0) resolve(answer)
      else reject(new Error(`reset with ${stream.rstCode}`))
    })
    stream.resume()
  })
}

/** Resolves with the code that a stream is closed with. */
export function codeOf(stream: ClientHttp2Stream): Promise<number> {
  return new Promise((resolve) => stream.once('close', () => resolve(stream.rstCode)))
}
