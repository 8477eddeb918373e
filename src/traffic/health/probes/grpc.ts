import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import type { Connector } from '../../http/upstream/connector.js'
import type { Probe } from '../health-check.js'

const PATH = '/grpc.health.v1.Health/Check'

/** `HealthCheckResponse.ServingStatus`; only 1 is well. */
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']

/** More than any answer of this service has. */
const MOST_BYTES = 4_096

/**
 * Asks `grpc.health.v1.Health/Check` (the gRPC health checking protocol). Two fields of protobuf are written and read
 * by hand: a message library would be the larger risk.
 *
 * @param connector - opens connections on which HTTP/2 is spoken
 * @param authority - the host asked for
 * @param service - the service asked about; empty for the whole server
 */
export function grpcProbe(connector: Connector, authority: string, service: string): Probe {
  const question = frame(checkRequest(service))
  return async (onCancel) => {
    const { socket } = await connector.connect((cancel) => onCancel(() => cancel('given up')))
    const session = connect(`http://${authority}`, { createConnection: () => socket })
    const broken = new Promise<never>((_, reject) => {
      session.on('error', reject)
      session.once('close', () => reject(new Error('the connection was closed')))
      onCancel(() => session.destroy())
    })
    try {
      await Promise.race([ask(session, authority, question), broken])
    } finally {
      session.destroy()
    }
  }
}

async function ask(session: ClientHttp2Session, authority: string, question: Buffer): Promise<void> {
  const stream = session.request({
    [constants.HTTP2_HEADER_METHOD]: 'POST',
    [constants.HTTP2_HEADER_PATH]: PATH,
    [constants.HTTP2_HEADER_AUTHORITY]: authority,
    'content-type': 'application/grpc',
    'user-agent': 'banyan-health-check',
    te: 'trailers',
  })
  stream.end(question)
  const { status, grpcStatus, grpcMessage, body } = await answerOf(stream)
  if (status !== 200) throw new Error(`answered ${status}, not with gRPC`)
  if (grpcStatus !== '0') {
    const detail = grpcMessage ? `: ${decodeURIComponentSafely(grpcMessage)}` : ''
    throw new Error(`answered with gRPC status ${grpcStatus ?? 'missing'}${detail}`)
  }
  const serving = servingStatus(body)
  if (serving !== 1) throw new Error(`is ${STATUSES[serving] ?? serving}`)
}

interface GrpcAnswer {
  status: number
  grpcStatus: string | undefined
  grpcMessage: string | undefined
  body: Buffer
}

function answerOf(stream: ClientHttp2Stream): Promise<GrpcAnswer> {
  return new Promise((resolve, reject) => {
    let fields: Record<string, unknown> = {}
    const chunks: Buffer[] = []
    let bytes = 0
    stream.on('response', (head) => {
      fields = { ...head }
    })
    // An answer of trailers only has everything in its head.
    stream.on('trailers', (trailers: Record<string, unknown>) => {
      fields = { ...fields, ...trailers }
    })
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= MOST_BYTES) chunks.push(chunk)
      else stream.destroy(new Error('the answer is too long'))
    })
    stream.on('error', reject)
    stream.on('end', () => {
      resolve({
        status: Number(fields[':status'] ?? 0),
        grpcStatus: fields['grpc-status'] as string | undefined,
        grpcMessage: fields['grpc-message'] as string | undefined,
        body: Buffer.concat(chunks),
      })
    })
  })
}

/** `HealthCheckRequest { string service = 1; }`. */
function checkRequest(service: string): Buffer {
  const text = Buffer.from(service)
  if (text.length === 0) return text
  return Buffer.concat([Buffer.from([0x0a, ...varint(text.length)]), text])
}

function varint(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest]
    bytes.push((rest & 0x7f) | 0x80)
  }
}

/** A gRPC message: not compressed, its length, itself. */
function frame(message: Buffer): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** `HealthCheckResponse { ServingStatus status = 1; }`; protobuf leaves a 0 out. */
function servingStatus(body: Buffer): number {
  if (body.length < 5) throw new Error('answered without a message')
  if (body[0] !== 0) throw new Error('answered with a compressed message')
  const message = body.subarray(5, 5 + body.readUInt32BE(1))
  return message.length >= 2 && message[0] === 0x08 ? message[1]! : 0
}

function decodeURIComponentSafely(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
