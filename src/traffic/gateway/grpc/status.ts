import { BanyanError, withoutStack } from '../../../core/errors.js'
import type { Fields } from '../../http/fields.js'

/** The status codes of gRPC, by number (grpc.io, "Status codes and their use in gRPC"). */
export const GRPC_NAMES = [
  'OK', 'CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS',
  'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED',
  'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED',
] as const // prettier-ignore

/** The codes that something here decides by. */
export const Grpc = {
  Ok: 0,
  Cancelled: 1,
  Unknown: 2,
  DeadlineExceeded: 4,
  ResourceExhausted: 8,
  Unavailable: 14,
} as const

/** Codes that speak against the endpoint, each with the HTTP status that means the same. */
const FAILURES: ReadonlyMap<number, number> = new Map([
  [Grpc.Unknown, 500],
  [Grpc.DeadlineExceeded, 504],
  [13, 500],
  [Grpc.Unavailable, 503],
  [15, 500],
])

/** The code that says what an HTTP status says, where the gateway answers by itself. */
const CODES: ReadonlyMap<number, number> = new Map([
  [400, 3],
  [401, 16],
  [403, 7],
  [404, 12],
  [405, 12],
  [408, Grpc.DeadlineExceeded],
  [409, 10],
  [412, 9],
  [413, Grpc.ResourceExhausted],
  [415, 3],
  [422, 3],
  [429, Grpc.ResourceExhausted],
  [431, Grpc.ResourceExhausted],
  [499, Grpc.Cancelled],
  [500, 13],
  [501, 12],
  [502, Grpc.Unavailable],
  [503, Grpc.Unavailable],
  [504, Grpc.DeadlineExceeded],
  [508, 13],
])

/** Whether a code says that the endpoint is at fault: what a status of 500 and above says in HTTP. */
export function isGrpcFailure(code: number): boolean {
  return FAILURES.has(code)
}

/** The HTTP status that says of an endpoint what a code says. */
export function httpStatusOf(code: number): number {
  return FAILURES.get(code) ?? 200
}

/** The code for a problem that the gateway would answer with that HTTP status. */
export function grpcCodeOf(status: number): number {
  return CODES.get(status) ?? Grpc.Unknown
}

/** Whether these are the fields of a gRPC message; gRPC-Web is none. */
export function isGrpc(fields: Fields): boolean {
  const type = fields.get('content-type')
  return type !== undefined && /^application\/grpc(?:[+;]|$)/i.test(type)
}

/** The code in the fields that end a call; UNKNOWN if there is none that can be read, as gRPC says. */
export function codeIn(fields: Fields | undefined): number {
  const text = fields?.get('grpc-status')
  return text !== undefined && /^\d{1,2}$/.test(text) ? Number(text) : Grpc.Unknown
}

/** ms to wait before another try, as the endpoint says; negative for never. */
export function pushbackIn(fields: Fields): number | undefined {
  const text = fields.get('grpc-retry-pushback-ms')
  if (text === undefined) return undefined
  // What cannot be read forbids another try (gRFC A6).
  return /^\d{1,9}$/.test(text) ? Number(text) : -1
}

/**
 * Whether a call that ended with nothing but a code may go better another time: the endpoint says that it is not there
 * at the moment, or tells when to come back (gRFC A6).
 *
 * @param fields - of the answer
 */
export function isWorthAnotherCall(code: number, fields: Fields): boolean {
  const pushback = pushbackIn(fields)
  if (pushback !== undefined && pushback < 0) return false
  return code === Grpc.Unavailable || (code === Grpc.ResourceExhausted && pushback !== undefined)
}

/** Text as `grpc-message` carries it: UTF-8, everything but printable ASCII percent-encoded. */
export function encodeMessage(text: string): string {
  let encoded = ''
  for (const byte of Buffer.from(text)) {
    const plain = byte >= 0x20 && byte <= 0x7e && byte !== 0x25
    encoded += plain ? String.fromCharCode(byte) : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/** A call that ended with a code that speaks against its endpoint. Code `BANYAN_GRPC_` and the name of that. */
export class GrpcStatusError extends BanyanError {
  readonly status: number

  constructor(status: number) {
    const name = GRPC_NAMES[status] ?? 'UNKNOWN'
    super(`BANYAN_GRPC_${name}`, `the call ended with ${name}`)
    this.status = status
  }
}

/** The failure that a code is; `undefined` if it is none. */
export function failureOf(code: number): GrpcStatusError | undefined {
  return isGrpcFailure(code) ? withoutStack(() => new GrpcStatusError(code)) : undefined
}
