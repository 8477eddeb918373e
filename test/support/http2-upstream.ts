import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type Settings,
} from 'node:http2'
import type { AddressInfo } from 'node:net'

/** A request that an HTTP/2 endpoint has received. */
export interface ReceivedRequest {
  stream: ServerHttp2Stream
  headers: IncomingHttpHeaders
}

/** An HTTP/2 endpoint that a test plays, request by request. */
export class Http2Upstream {
  readonly url: string
  readonly sessions: ServerHttp2Session[] = []
  readonly #server: Http2Server
  readonly #requests: ReceivedRequest[] = []
  #waiting: (() => void)[] = []

  private constructor(server: Http2Server, scheme: string) {
    this.url = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
    this.#server = server
  }

  static async open(
    options: { settings?: Settings; tls?: SecureServerOptions } = {},
  ): Promise<Http2Upstream> {
    const { settings = {}, tls } = options
    const server = tls ? createSecureServer({ ...tls, settings }) : createServer({ settings })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const upstream = new Http2Upstream(server, tls ? 'https' : 'http')
    server.on('session', (session) => {
      upstream.sessions.push(session)
      session.on('error', () => undefined)
    })
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined)
      upstream.#requests.push({ stream, headers })
      for (const resolve of upstream.#waiting.splice(0)) resolve()
    })
    return upstream
  }

  /** The next request. */
  async request(): Promise<ReceivedRequest> {
    while (this.#requests.length === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.#requests.shift()!
  }

  /** Answers every request to come. */
  answerAll(answer: (request: ReceivedRequest) => void): void {
    const next = async (): Promise<void> => {
      answer(await this.request())
      void next()
    }
    void next()
  }

  close(): void {
    for (const session of this.sessions) session.destroy()
    this.#server.close()
  }
}

/** Everything that a stream brings. */
export async function bodyOf(stream: ServerHttp2Stream): Promise<string> {
  const parts: Buffer[] = []
  for await (const part of stream) parts.push(part as Buffer)
  return Buffer.concat(parts).toString()
}
