import { promisify } from 'node:util'
import { brotliDecompress, gunzip, inflate } from 'node:zlib'

/** Whether a Content-Type says JSON: `application/json`, or a type that ends in `+json`. */
export function isJsonType(contentType: string | undefined): boolean {
  return (
    contentType !== undefined &&
    /^\s*(?:application\/json|[\w.!#$&^-]+\/[\w.!#$&^-]+\+json)\s*(?:;|$)/i.test(contentType)
  )
}

/** Content codings that can be undone here. */
const DECODERS: Readonly<
  Record<string, ((data: Buffer, options: { maxOutputLength: number }) => Promise<Buffer>) | undefined>
> = {
  gzip: promisify(gunzip),
  'x-gzip': promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
}

/** Why content could not be decoded. */
export class CodingError extends Error {
  readonly reason: 'unknown' | 'broken' | 'too-large'

  constructor(reason: CodingError['reason'], cause?: unknown) {
    super(`the content coding is ${reason}`, { cause })
    this.reason = reason
  }
}

/**
 * Undoes the codings of a body, last first.
 *
 * @param coding - the value of `Content-Encoding`
 * @param most - bytes of the result; a small body may grow to thousands of times its size
 * @throws {@link CodingError}
 */
export async function decoded(data: Buffer, coding: string | undefined, most: number): Promise<Buffer> {
  let plain = data
  for (const name of codingsOf(coding).reverse()) {
    const decode = DECODERS[name]
    if (!decode) throw new CodingError('unknown')
    try {
      plain = await decode(plain, { maxOutputLength: most })
    } catch (error) {
      const tooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      throw new CodingError(tooLarge ? 'too-large' : 'broken', error)
    }
  }
  return plain
}

/**
 * What of a client's `Accept-Encoding` may go to a service whose answer is read here.
 *
 * @returns `undefined` if all of it may
 */
export function readableEncodings(accepted: string | undefined): string | undefined {
  if (accepted === undefined) return undefined
  const all = accepted.split(',').map((each) => each.trim())
  const readable = all.filter((each) => {
    const [name = ''] = each.toLowerCase().split(/[\s;]/)
    return name === 'identity' || Object.hasOwn(DECODERS, name)
  })
  return readable.length === all.length ? undefined : readable.join(', ') || 'identity'
}

function codingsOf(coding: string | undefined): string[] {
  return (coding ?? '')
    .toLowerCase()
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '' && each !== 'identity')
}
