import { COLON, CR, FIELD_VALUE, LF, SPACE, TAB, TARGET, TOKEN } from './characters.js'
import { Fields, Kind } from './fields.js'
import { HttpError } from './http-error.js'
import type { HttpLimits } from './limits.js'

/** The start line and fields of a message, or the fields of a trailer section. */
export interface RawHead {
  /** Request: method, target. Response: reason phrase in `target`, nothing in `method`. Trailer: nothing. */
  method: string
  target: string
  /** The minor HTTP version: 0 or 1. */
  minor: number
  /** Of a response. */
  status: number
  fields: Fields
}

const State = {
  /** Before a request line, where one empty line is forgiven (RFC 9112 2.2). */
  Start: 0,
  StartLF: 1,
  Method: 2,
  Target: 3,
  RequestVersion: 4,
  ResponseVersion: 5,
  Status: 6,
  Reason: 7,
  LineLF: 8,
  FieldStart: 9,
  Name: 10,
  ValueStart: 11,
  Value: 12,
  EndLF: 13,
} as const

type State = (typeof State)[keyof typeof State]

const VERSION = Buffer.from('HTTP/1.')

/**
 * Reads the head of one message after another, byte by byte, so that where the network cut the bytes cannot change
 * the result. Strict: whatever two implementations could read differently is an error (RFC 9112; every refusal says
 * which rule).
 */
export class HeadReader {
  readonly #limits: HttpLimits
  readonly #begin: State
  #state: State
  /** Bytes of this head in earlier buffers. */
  #carried: Buffer[] = []
  #length = 0
  /** Offsets into the head: name start and end, value start and end, for each field. */
  #marks: number[] = []
  #nameStart = 0
  #nameEnd = 0
  #valueStart = 0
  #lineStart = 0
  #methodEnd = 0
  #targetStart = 0
  #targetEnd = 0
  #counter = 0
  #minor = 0
  #status = 0

  constructor(kind: 'request' | 'response' | 'trailer', limits: HttpLimits) {
    this.#limits = limits
    this.#begin =
      kind === 'request' ? State.Start : kind === 'response' ? State.ResponseVersion : State.FieldStart
    this.#state = this.#begin
  }

  /** True once a byte of an unfinished head was read. */
  get started(): boolean {
    return this.#length > 0
  }

  /** Where the last completed head ended in the buffer it ended in. */
  end = 0

  /**
   * Reads on in `buffer[start, stop)`.
   *
   * @returns the head, with `end` set to the index after it; `undefined` if the buffer ended first, all of it read
   * @throws {@link HttpError} if this is not a valid head
   */
  read(buffer: Buffer, start: number, stop: number): RawHead | undefined {
    const limits = this.#limits
    // `base + index` is an offset into the head, whichever buffer it lies in.
    const base = this.#length - start
    const limit = Math.min(stop, start + limits.headBytes - this.#length)
    let state: State = this.#state
    let index = start
    while (index < limit) {
      const code = buffer[index]!
      switch (state) {
        case State.Method:
          while (index < limit && TOKEN[buffer[index]!] === 1) index++
          if (index === limit) break
          if (buffer[index] !== SPACE || base + index === this.#lineStart)
            throw invalid('the request line has no valid method')
          this.#methodEnd = base + index
          this.#targetStart = base + ++index
          state = State.Target
          break

        case State.Target:
          while (index < limit && TARGET[buffer[index]!] === 1) index++
          if (base + index - this.#targetStart > limits.targetBytes)
            throw new HttpError(414, 'The request target is too long')
          if (index === limit) break
          if (buffer[index] !== SPACE || base + index === this.#targetStart)
            throw invalid('the request target is not valid')
          this.#targetEnd = base + index++
          this.#counter = 0
          state = State.RequestVersion
          break

        case State.RequestVersion:
          if (this.#counter < VERSION.length) {
            if (code !== VERSION[this.#counter]) throw invalid('the HTTP version is not valid')
            this.#counter++
          } else if (this.#counter === VERSION.length) {
            this.#minor = minorOf(code)
            this.#counter++
          } else {
            if (code !== CR) throw invalid('the request line does not end in CRLF')
            state = State.LineLF
          }
          index++
          break

        case State.Start:
          this.#lineStart = base + index
          if (code === CR && base + index === 0) {
            state = State.StartLF
            index++
          } else {
            state = State.Method
          }
          break

        case State.StartLF:
          if (code !== LF) throw invalid('a CR stands alone')
          this.#lineStart = base + ++index
          state = State.Method
          break

        case State.ResponseVersion:
          this.#counter = base + index
          if (this.#counter < VERSION.length) {
            if (code !== VERSION[this.#counter]) throw invalid('the status line is not valid')
          } else if (this.#counter === VERSION.length) {
            this.#minor = minorOf(code)
          } else {
            if (code !== SPACE) throw invalid('the status line is not valid')
            this.#counter = this.#status = 0
            state = State.Status
          }
          index++
          break

        case State.Status:
          if (this.#counter < 3) {
            if (code < 0x30 || code > 0x39) throw invalid('the status is not valid')
            this.#status = this.#status * 10 + code - 0x30
            this.#counter++
            index++
            break
          }
          if (this.#status < 100 || this.#status > 599) throw invalid('the status is not valid')
          // The space before an absent reason phrase is often absent too.
          if (code === SPACE) index++
          else if (code !== CR) throw invalid('the status line is not valid')
          this.#targetStart = base + index
          state = State.Reason
          break

        case State.Reason:
          while (index < limit && FIELD_VALUE[buffer[index]!] === 1) index++
          if (index === limit) break
          if (buffer[index] !== CR) throw invalid('the status line does not end in CRLF')
          this.#targetEnd = base + index++
          state = State.LineLF
          break

        case State.LineLF:
          if (code !== LF) throw invalid('a CR stands alone')
          index++
          state = State.FieldStart
          break

        case State.FieldStart:
          if (code === CR) {
            index++
            state = State.EndLF
            break
          }
          if (this.#marks.length >= limits.fieldCount * 4)
            throw new HttpError(431, 'There are too many header fields')
          this.#nameStart = base + index
          state = State.Name
          break

        case State.Name:
          while (index < limit && TOKEN[buffer[index]!] === 1) index++
          if (index === limit) break
          if (buffer[index] !== COLON || base + index === this.#nameStart) {
            throw invalid(
              buffer[index] === SPACE || buffer[index] === TAB
                ? 'white space stands before or inside a field name (folded lines are refused)'
                : 'a field name is not valid',
            )
          }
          this.#nameEnd = base + index++
          state = State.ValueStart
          break

        case State.ValueStart:
          if (code === SPACE || code === TAB) {
            index++
            break
          }
          this.#valueStart = base + index
          state = State.Value
          break

        case State.Value:
          while (index < limit && FIELD_VALUE[buffer[index]!] === 1) index++
          if (index === limit) break
          if (buffer[index] !== CR)
            throw invalid('a field value has a control character, or its line does not end in CRLF')
          this.#marks.push(this.#nameStart, this.#nameEnd, this.#valueStart, base + index++)
          state = State.LineLF
          break

        case State.EndLF: {
          if (code !== LF) throw invalid('a CR stands alone')
          this.end = index + 1
          return this.#complete(buffer, start, index + 1)
        }
      }
    }
    this.#state = state
    if (limit < stop) {
      throw new HttpError(state === State.Target ? 414 : 431, 'The header section is too large')
    }
    if (stop > start) {
      // Copied: the owner may reuse its buffer.
      this.#carried.push(Buffer.from(buffer.subarray(start, stop)))
      this.#length += stop - start
    }
    return undefined
  }

  #complete(buffer: Buffer, start: number, stop: number): RawHead {
    const text =
      this.#length === 0
        ? buffer.toString('latin1', start, stop)
        : Buffer.concat([...this.#carried, buffer.subarray(start, stop)]).toString('latin1')
    const fields = new Fields()
    const marks = this.#marks
    for (let mark = 0; mark < marks.length; mark += 4) {
      const valueStart = marks[mark + 2]!
      let valueEnd = marks[mark + 3]!
      while (valueEnd > valueStart && isBlank(text.charCodeAt(valueEnd - 1))) valueEnd--
      fields.append(text.slice(marks[mark], marks[mark + 1]), text.slice(valueStart, valueEnd))
      const kind = fields.kinds[mark >> 2]
      if (kind === Kind.TransferEncoding || kind === Kind.ContentLength) {
        // Some parsers take a tab around a value for a part of it, and so read another framing than others.
        if (text.slice(marks[mark + 1], marks[mark + 3]).includes('\t'))
          throw invalid('a tab stands in a framing field')
      }
    }
    const head: RawHead = {
      method: text.slice(this.#lineStart, this.#methodEnd),
      target: text.slice(this.#targetStart, this.#targetEnd),
      minor: this.#minor,
      status: this.#status,
      fields,
    }
    this.#reset()
    return head
  }

  #reset(): void {
    this.#state = this.#begin
    if (this.#length > 0) this.#carried = []
    this.#length = 0
    this.#marks.length = 0
    this.#lineStart = this.#methodEnd = this.#targetStart = this.#targetEnd = 0
  }
}

function isBlank(code: number): boolean {
  return code === SPACE || code === TAB
}

function minorOf(code: number): number {
  if (code !== 0x30 && code !== 0x31) throw new HttpError(505, 'Only HTTP/1.0 and HTTP/1.1 are spoken here')
  return code - 0x30
}

function invalid(what: string): HttpError {
  return new HttpError(400, `Not a valid HTTP/1.1 message: ${what}`)
}
