import * as zlib from 'node:zlib'
import type { Transform } from 'node:stream'

/** A content coding that answers can be given in. */
export type Encoding = 'zstd' | 'br' | 'gzip' | 'deflate'

/** How hard to try: fast for much traffic, small for little; each coding has levels of its own. */
export type CompressionLevel = 'fastest' | 'balanced' | 'smallest'

/** A stream that compresses. */
type Stream = Transform & zlib.Zlib

/** What compresses one answer. */
export interface Compressor {
  readonly stream: Stream
  /** Has everything that was written so far given out, so that a reader can use it. */
  flush(): void
}

/**
 * Not for storage, but for a wire and a server that has other things to do: from here on, more work saves little.
 * The windows bound the memory of each stream: about 270 kB for gzip, 1 MB for Brotli.
 */
const LEVELS: Readonly<Record<Encoding, Readonly<Record<CompressionLevel, number>>>> = {
  zstd: { fastest: 1, balanced: 3, smallest: 9 },
  br: { fastest: 1, balanced: 4, smallest: 7 },
  gzip: { fastest: 1, balanced: 6, smallest: 9 },
  deflate: { fastest: 1, balanced: 6, smallest: 9 },
}

/** Brotli's and Zstandard's window, as a power of two. */
const WINDOW = 18

/** Zstandard is in Node since 22.15; what its types and our oldest Node do not have is looked for by name. */
const { createZstdCompress } = zlib as { createZstdCompress?: (options: object) => Stream }
const { ZSTD_c_compressionLevel, ZSTD_c_windowLog, ZSTD_e_flush } = zlib.constants as unknown as Record<
  string,
  number
>

/** What this Node can do, best first: what is smallest for the time it takes. */
export const ENCODINGS: readonly Encoding[] = createZstdCompress
  ? ['zstd', 'br', 'gzip', 'deflate']
  : ['br', 'gzip', 'deflate']

/**
 * Opens a stream that compresses.
 *
 * @param size - bytes that will come, if that is known
 */
export function openCompressor(
  encoding: Encoding,
  level: CompressionLevel,
  size: number | undefined,
): Compressor {
  const stream = openStream(encoding, LEVELS[encoding][level], size)
  const kind =
    encoding === 'br'
      ? zlib.constants.BROTLI_OPERATION_FLUSH
      : encoding === 'zstd'
        ? ZSTD_e_flush
        : zlib.constants.Z_SYNC_FLUSH
  return { stream, flush: () => stream.flush(kind) }
}

function openStream(encoding: Encoding, effort: number, size: number | undefined): Stream {
  switch (encoding) {
    case 'br':
      return zlib.createBrotliCompress({
        params: {
          [zlib.constants.BROTLI_PARAM_QUALITY]: effort,
          [zlib.constants.BROTLI_PARAM_LGWIN]: WINDOW,
          ...(size === undefined ? {} : { [zlib.constants.BROTLI_PARAM_SIZE_HINT]: size }),
        },
      })
    case 'zstd':
      return createZstdCompress!({
        params: { [ZSTD_c_compressionLevel!]: effort, [ZSTD_c_windowLog!]: WINDOW },
      })
    case 'gzip':
      return zlib.createGzip({ level: effort })
    case 'deflate':
      return zlib.createDeflate({ level: effort })
  }
}
