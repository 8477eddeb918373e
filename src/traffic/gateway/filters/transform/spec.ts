import type { Bytes } from '../../../../core/bytes.js'

/** Changes requests and answers by their values. Text may hold `$(expression)`, JMESPath over `request` and `response`. */
export interface TransformSpec {
  request?: RequestTransform
  response?: ResponseTransform
  /** Most bytes of a body that is changed or read, decoded. Default `'1MB'`. */
  maxBytes?: Bytes
  /** Most levels of arrays and objects in a body. Default 64. */
  maxDepth?: number
}

/** Header fields set from values; `null` takes a field away. */
export interface FieldTransform {
  set?: Record<string, string>
  remove?: string[]
}

/** Changes of a request before the service gets it. */
export interface RequestTransform {
  /** Expression: nothing is changed unless it is true. Default: always. */
  when?: string
  /** Query parameters: a list stands once for each element, `null` not at all. */
  query?: { set?: Record<string, unknown>; remove?: string[] }
  headers?: FieldTransform
  /** The body, if there is one and it is JSON. */
  body?: unknown
}

/** Changes of an answer before the client gets it. */
export interface ResponseTransform {
  /** Expression: nothing is changed unless it is true. Default: for the statuses 200 to 299. */
  when?: string
  status?: number | string
  headers?: FieldTransform
  /** The body, if it is JSON. */
  body?: unknown
}

/** What expressions may read of an answer. */
export const RESPONSE_MEMBERS = ['status', 'headers', 'body'] as const
