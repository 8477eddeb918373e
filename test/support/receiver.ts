import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { cloudEventsFromHttp, type CloudEvent } from '../../src/events/index.js'

/** A message that has come to a receiver. */
export interface Received {
  event: CloudEvent
  /** What stands behind the dash of its stream. */
  key: string
  headers: Record<string, string>
  body: string
}

type Answer = (received: Received, response: ServerResponse) => unknown

/** An endpoint that messages are pushed to: a real server that can be stopped and started again on its port. */
export class Receiver {
  readonly received: Received[] = []
  /** What it answers; default 204. */
  answer: Answer = (_received, response) => response.writeHead(204).end()
  #server: Server | undefined
  #port = 0
  #changed: (() => void)[] = []

  static async open(): Promise<Receiver> {
    const receiver = new Receiver()
    await receiver.start()
    return receiver
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`
  }

  async start(): Promise<void> {
    this.#server = createServer((request, response) => void this.#take(request, response))
    await new Promise<void>((resolve) => this.#server!.listen(this.#port, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as AddressInfo).port
  }

  /** Ends at once, and breaks off what is under way. */
  async stop(): Promise<void> {
    const closed = new Promise((resolve) => this.#server?.close(resolve))
    this.#server?.closeAllConnections()
    await closed
  }

  close(): Promise<void> {
    return this.stop()
  }

  /** Waits until something is true of what has come. */
  async until(isTrue: (received: readonly Received[]) => boolean): Promise<void> {
    while (!isTrue(this.received)) await new Promise<void>((resolve) => this.#changed.push(resolve))
  }

  /** The data of what has come, by key. */
  byKey(): Record<string, unknown[]> {
    const found: Record<string, unknown[]> = {}
    for (const { key, event } of this.received) (found[key] ??= []).push(event.data)
    return found
  }

  async #take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const body = Buffer.concat(parts).toString()
    const headers = request.headers as Record<string, string>
    const [event] = cloudEventsFromHttp(headers, body)
    const stream = String(event!['banyanstream'])
    const received = { event: event!, key: stream.slice(stream.indexOf('-') + 1), headers, body }
    this.received.push(received)
    await this.answer(received, response)
    for (const resolve of this.#changed.splice(0)) resolve()
  }
}
