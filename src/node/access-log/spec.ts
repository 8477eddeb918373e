import type { Bytes } from '../../core/bytes.js'

/** The fields of a line, in their order. */
export const ACCESS_FIELDS = [
  'time',
  'requestId',
  'traceId',
  'spanId',
  'client',
  'subject',
  'method',
  'host',
  'path',
  'query',
  'protocol',
  'tls',
  'route',
  'service',
  'endpoint',
  'tries',
  'status',
  'problem',
  'error',
  'aborted',
  'bytesIn',
  'bytesOut',
  'duration',
  'firstByte',
  'userAgent',
  'headers',
] as const

/** Name of a field of a line. */
export type AccessField = (typeof ACCESS_FIELDS)[number]

/** One line of JSON for each request, as `accessLog` of the configuration says it. */
export interface AccessLogSpec {
  /** `stdout`, `stderr`, or the path of a file, which is appended to. Default `stdout`. */
  output?: string
  /** Which fields a line has. Default: all. */
  fields?: readonly AccessField[]
  /** Share of the requests that is logged, 0 to 1; those answered with 5xx always are. Default 1. */
  sample?: number
  /** Query parameters whose values are logged; those of others become `***`. `*` for all but secrets. Default none. */
  parameters?: readonly string[] | '*'
  /** Fields of the request's header that are logged; of secrets only that they were there. Default none. */
  headers?: readonly string[]
  /** Further names of header fields and parameters whose values are secrets. */
  redact?: readonly string[]
  /** Bytes that may wait to be written; further lines are dropped and counted. Default `4MB`. */
  buffer?: Bytes
}
