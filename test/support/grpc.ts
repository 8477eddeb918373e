import * as grpc from '@grpc/grpc-js'
import { open } from './gateway.js'

const asIs = {
  requestSerialize: same,
  requestDeserialize: same,
  responseSerialize: same,
  responseDeserialize: same,
}

/** A service with one method of each kind; messages are texts. */
const ECHO = {
  unary: { path: '/test.Echo/Unary', requestStream: false, responseStream: false, ...asIs },
  client: { path: '/test.Echo/Client', requestStream: true, responseStream: false, ...asIs },
  server: { path: '/test.Echo/Server', requestStream: false, responseStream: true, ...asIs },
  bidi: { path: '/test.Echo/Bidi', requestStream: true, responseStream: true, ...asIs },
} as const

function same(message: Buffer): Buffer {
  return message
}

/** What a server does with each kind of call. */
export interface EchoHandlers {
  unary?: grpc.handleUnaryCall<Buffer, Buffer>
  client?: grpc.handleClientStreamingCall<Buffer, Buffer>
  server?: grpc.handleServerStreamingCall<Buffer, Buffer>
  bidi?: grpc.handleBidiStreamingCall<Buffer, Buffer>
}

/** A gRPC server; closed with the test. Returns its address. */
export async function openEcho(handlers: EchoHandlers): Promise<{ url: string; server: grpc.Server }> {
  const server = new grpc.Server()
  server.addService(ECHO, handlers as grpc.UntypedServiceImplementation)
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    ),
  )
  open.push({ close: () => server.forceShutdown() })
  return { url: `http://127.0.0.1:${port}`, server }
}

/** A client of the same service; closed with the test. */
export class EchoClient {
  readonly #client: grpc.Client

  constructor(port: number) {
    this.#client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
      // What fails is to be seen, not mended by the client.
      'grpc.enable_retries': 0,
    })
    open.push({ close: () => this.#client.close() })
  }

  unary(
    text: string,
    options: grpc.CallOptions = {},
    metadata = new grpc.Metadata(),
  ): Promise<string> & { call: grpc.ClientUnaryCall } {
    let call: grpc.ClientUnaryCall
    const result = new Promise<string>((resolve, reject) => {
      call = this.#client.makeUnaryRequest(
        ECHO.unary.path,
        same,
        same,
        Buffer.from(text),
        metadata,
        options,
        (error, value) => (error ? reject(error) : resolve(value!.toString())),
      )
    })
    return Object.assign(result, { call: call! })
  }

  client(): { call: grpc.ClientWritableStream<Buffer>; result: Promise<string> } {
    let call: grpc.ClientWritableStream<Buffer>
    const result = new Promise<string>((resolve, reject) => {
      call = this.#client.makeClientStreamRequest(ECHO.client.path, same, same, (error, value) =>
        error ? reject(error) : resolve(value!.toString()),
      )
    })
    return { call: call!, result }
  }

  server(text: string): grpc.ClientReadableStream<Buffer> {
    return this.#client.makeServerStreamRequest(ECHO.server.path, same, same, Buffer.from(text))
  }

  bidi(options: grpc.CallOptions = {}): grpc.ClientDuplexStream<Buffer, Buffer> {
    return this.#client.makeBidiStreamRequest(ECHO.bidi.path, same, same, options)
  }
}

/** All messages of a stream, and how it ended. */
export function drain(
  stream: grpc.ClientReadableStream<Buffer>,
): Promise<{ texts: string[]; code: number; details: string }> {
  return new Promise((resolve) => {
    const texts: string[] = []
    stream.on('data', (data: Buffer) => texts.push(data.toString()))
    stream.on('error', () => undefined)
    stream.on('status', ({ code, details }) => resolve({ texts, code, details }))
  })
}
