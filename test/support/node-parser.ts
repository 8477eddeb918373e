import {
  createServer,
  request as nodeRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { Duplex } from 'node:stream'
import type { Reading, ReadMessage } from './http-messages.js'

/** A connection in memory: what is pushed was received, what is written is dropped. */
class Wire extends Duplex {
  override _read(): void {
    // everything is pushed at once
  }
  override _write(_data: unknown, _encoding: string, done: () => void): void {
    done()
  }
}

/** Reads requests with the parser of Node's own HTTP server. */
export class NodeRequestReader {
  readonly #server: Server
  #reading: Reading = { messages: [] }

  constructor() {
    this.#server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
      collect(
        request,
        `${request.method ?? ''} ${request.url ?? ''} 1.${request.httpVersionMinor}`,
        this.#reading,
      )
      response.end()
    })
    // Without these listeners Node answers by itself and the request is not seen.
    for (const event of ['checkContinue', 'checkExpectation'] as const) {
      this.#server.on(event, (request: IncomingMessage, response: ServerResponse) => {
        collect(
          request,
          `${request.method ?? ''} ${request.url ?? ''} 1.${request.httpVersionMinor}`,
          this.#reading,
        )
        response.end()
      })
    }
    this.#server.on('connect', () => undefined)
    this.#server.on('clientError', () => {
      this.#reading.refused = 400
    })
  }

  async read(bytes: Buffer): Promise<Reading> {
    const reading: Reading = (this.#reading = { messages: [] })
    const wire = new Wire()
    wire.on('error', () => undefined)
    this.#server.emit('connection', wire)
    wire.push(bytes)
    await turns()
    wire.destroy()
    return reading
  }
}

/** Reads a response with the parser of Node's own HTTP client. */
export async function readResponseWithNode(bytes: Buffer): Promise<Reading> {
  const reading: Reading = { messages: [] }
  const wire = new Wire()
  const request = nodeRequest({ createConnection: () => wire })
  request.on('response', (response) => {
    collect(
      response,
      `${response.statusCode ?? 0} ${response.statusMessage ?? ''} 1.${response.httpVersionMinor}`,
      reading,
    )
  })
  request.on('error', () => {
    reading.refused = 502
  })
  wire.on('error', () => undefined)
  const closed = new Promise((resolve) => request.once('close', resolve))
  const assigned = new Promise((resolve) => request.once('socket', resolve))
  request.end()
  await assigned
  await turns()
  wire.push(bytes)
  wire.push(null)
  await closed
  request.destroy()
  wire.destroy()
  return reading
}

function collect(incoming: IncomingMessage, start: string, reading: Reading): void {
  const message: ReadMessage = {
    start,
    fields: pairs(incoming.rawHeaders),
    body: '',
    trailers: [],
    complete: false,
  }
  reading.messages.push(message)
  incoming.on('data', (data: Buffer) => {
    message.body += data.toString('latin1')
  })
  incoming.on('end', () => {
    message.complete = incoming.complete
    message.trailers = pairs(incoming.rawTrailers)
  })
  incoming.on('error', () => undefined)
}

function pairs(raw: readonly string[]): [string, string][] {
  return Array.from({ length: raw.length / 2 }, (_, index) => [raw[index * 2]!, raw[index * 2 + 1]!])
}

/** A few turns of the event loop: everything in memory has happened after them. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 4; turn++) await new Promise((resolve) => setImmediate(resolve))
}
