import type { Bytes } from '../../../../core/bytes.js'

/** Checks requests against an OpenAPI document. */
export interface OpenApiSpec {
  /** Path of the document, YAML or JSON; read again when it changes. */
  document: string
  /** What comes before the document's paths at the service. Default: the path of its first server. */
  base?: string
  /** What becomes of requests that break the document: refused, or only logged and counted. Default `refuse`. */
  requests?: 'refuse' | 'log'
  /** Whether answers that break the document are logged and counted; none is ever held back. Default `ignore`. */
  responses?: 'ignore' | 'log'
  /** What becomes of paths and methods that the document does not know. Default `refuse`, with 404 or 405. */
  unknown?: 'refuse' | 'pass'
  /** Most bytes of a body that is checked, decoded; a larger request is a 413. Default `'1MB'`. */
  maxBytes?: Bytes
  /** Most levels of arrays and objects in a body. Default 64. */
  maxDepth?: number
  /** Most mistakes that a client is told at once. Default 20. */
  maxErrors?: number
}
