import { CR, FIELD_VALUE, HEX, LF, SPACE, TAB } from './characters.js'
import type { Fields } from './fields.js'
import { HeadReader } from './head-reader.js'
import { HttpError } from './http-error.js'
import type { HttpLimits } from './limits.js'

const SEMICOLON = 0x3b

/** 13 hexadecimal digits stay exact in a double, and no body is that long. */
const MOST_DIGITS = 13

const State = { Size: 0, Extension: 1, SizeLF: 2, Data: 3, DataCR: 4, DataLF: 5, Trailer: 6 } as const
type State = (typeof State)[keyof typeof State]

/** Reads the chunked coding (RFC 9112 7.1), strictly: CRLF only, digits only, bounded extensions, which are dropped. */
export class ChunkedReader {
  readonly #limits: HttpLimits
  readonly #trailers: HeadReader
  #state: State = State.Size
  #digits = 0
  #left = 0
  #extension = 0

  /** The trailer section, once the last chunk was read; `undefined` before. */
  trailers: Fields | undefined = undefined

  constructor(limits: HttpLimits) {
    this.#limits = limits
    this.#trailers = new HeadReader('trailer', limits)
  }

  /** Makes the reader ready for the next body. */
  reset(): void {
    this.#state = State.Size
    this.#digits = this.#left = this.#extension = 0
    this.trailers = undefined
  }

  /**
   * Reads on in `buffer[start, stop)`; `onData` gets the parts of the body in it.
   *
   * @returns the index after what was read: `stop`, or less once the body is complete (`trailers` is set)
   * @throws {@link HttpError} if this is not a valid chunked body
   */
  read(buffer: Buffer, start: number, stop: number, onData: (data: Buffer) => void): number {
    let index = start
    while (index < stop) {
      const code = buffer[index]!
      switch (this.#state) {
        case State.Data: {
          const end = Math.min(stop, index + this.#left)
          this.#left -= end - index
          onData(index === 0 && end === buffer.length ? buffer : buffer.subarray(index, end))
          index = end
          if (this.#left === 0) this.#state = State.DataCR
          break
        }
        case State.Size: {
          const digit = HEX[code]!
          if (digit !== 255) {
            if (++this.#digits > MOST_DIGITS) throw invalid('a chunk size is too large')
            this.#left = this.#left * 16 + digit
          } else if (this.#digits === 0) {
            throw invalid('a chunk size is not a hexadecimal number')
          } else if (code === CR) {
            this.#state = State.SizeLF
          } else if (code === SEMICOLON) {
            this.#extension = 0
            this.#state = State.Extension
          } else {
            throw invalid(
              code === SPACE || code === TAB
                ? 'white space follows a chunk size'
                : 'a chunk size is not a hexadecimal number',
            )
          }
          index++
          break
        }
        case State.Extension:
          if (code === CR) this.#state = State.SizeLF
          else if (FIELD_VALUE[code] === 0) throw invalid('a chunk extension has a control character')
          else if (++this.#extension > this.#limits.chunkExtensionBytes)
            throw invalid('a chunk extension is too long')
          index++
          break
        case State.SizeLF:
          if (code !== LF) throw invalid('a chunk size does not end in CRLF')
          this.#digits = 0
          this.#state = this.#left === 0 ? State.Trailer : State.Data
          index++
          break
        case State.DataCR:
          if (code !== CR) throw invalid('a chunk is longer than its size')
          this.#state = State.DataLF
          index++
          break
        case State.DataLF:
          if (code !== LF) throw invalid('a chunk does not end in CRLF')
          this.#state = State.Size
          index++
          break
        case State.Trailer: {
          const head = this.#trailers.read(buffer, index, stop)
          if (!head) return stop
          this.trailers = head.fields
          return this.#trailers.end
        }
      }
    }
    return index
  }
}

function invalid(what: string): HttpError {
  return new HttpError(400, `Not a valid chunked body: ${what}`)
}
