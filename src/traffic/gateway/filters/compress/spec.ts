import type { Bytes } from '../../../../core/bytes.js'
import type { CompressionLevel, Encoding } from './codec.js'

/** Compresses answers for clients that can take it. */
export interface CompressSpec {
  /** Codings, best first. Default those that this Node can do of `zstd`, `br`, `gzip`, `deflate`. */
  encodings?: Encoding[]
  /** Media types: exact, `text/*`, or `*+json`. Default text, JSON, XML, JavaScript, SVG, WebAssembly and plain fonts. */
  types?: string[]
  /** Shorter answers are left as they are, as far as their length is known. Default `'1kB'`. */
  minimumSize?: Bytes
  /** Default `balanced`. */
  level?: CompressionLevel
  /** Answers compressed at the same time; those beyond pass as they are. Default 256. */
  concurrency?: number
}
