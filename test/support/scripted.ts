import { RawUpstream, type RawPeer } from './raw.js'

/** A request that waits for a test to answer it. */
export class HeldRequest {
  /** Head and body as they came. */
  readonly text: string
  readonly #peer: RawPeer

  constructor(text: string, peer: RawPeer) {
    this.text = text
    this.#peer = peer
  }

  get body(): string {
    return this.text.slice(this.text.indexOf('\r\n\r\n') + 4)
  }

  /** The value of a header field. */
  field(name: string): string | undefined {
    return new RegExp(`^${name}: (.*)\r$`, 'im').exec(this.text)?.[1]
  }

  reply(text: string): void {
    this.#peer.reply(text)
  }

  /** Answers with JSON. */
  json(value: unknown, more = '', status = '200 OK'): void {
    const body = typeof value === 'string' ? value : JSON.stringify(value)
    this.reply(
      `HTTP/1.1 ${status}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${more}\r\n${Buffer.from(body).toString('latin1')}`,
    )
  }

  /** Breaks the connection off. */
  close(): void {
    this.#peer.socket.destroy()
  }

  /** Waits until the gateway has given the request up. */
  async gone(): Promise<void> {
    await this.#peer.end()
  }
}

/** An upstream on which a test waits for requests by their targets, in any order, and answers when it likes. */
export class ScriptedUpstream {
  readonly #upstream: RawUpstream
  readonly #held: HeldRequest[] = []
  #changed: (() => void)[] = []
  /** Start lines of all requests, as they came. */
  readonly seen: string[] = []

  private constructor(upstream: RawUpstream) {
    this.#upstream = upstream
    void this.#accept()
  }

  static async open(): Promise<ScriptedUpstream> {
    return new ScriptedUpstream(await RawUpstream.open())
  }

  get url(): string {
    return this.#upstream.url
  }

  /** The next request for that target, `GET` unless it says another method. */
  async request(target: string): Promise<HeldRequest> {
    const start = /^[A-Z]+ /.test(target) ? target : `GET ${target}`
    for (;;) {
      const index = this.#held.findIndex(({ text }) => text.startsWith(`${start} HTTP/1.1\r\n`))
      if (index >= 0) return this.#held.splice(index, 1)[0]!
      await new Promise<void>((resolve) => this.#changed.push(resolve))
    }
  }

  /** Answers every request from now on. */
  async answer(reply: (request: HeldRequest) => void): Promise<void> {
    for (;;) {
      for (const request of this.#held.splice(0)) reply(request)
      await new Promise<void>((resolve) => this.#changed.push(resolve))
    }
  }

  close(): void {
    this.#upstream.close()
  }

  async #accept(): Promise<void> {
    for (;;) void this.#serve(await this.#upstream.peer())
  }

  async #serve(peer: RawPeer): Promise<void> {
    for (;;) {
      const text = await peer.until(isComplete)
      if (peer.closed) return
      peer.text = ''
      this.#held.push(new HeldRequest(text, peer))
      this.seen.push(text.slice(0, text.indexOf('\r\n')))
      for (const resolve of this.#changed.splice(0)) resolve()
    }
  }
}

function isComplete(text: string): boolean {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return false
  const length = Number(/^content-length: (\d+)\r$/im.exec(text.slice(0, end + 2))?.[1] ?? 0)
  return text.length >= end + 4 + length
}
