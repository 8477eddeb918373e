import type { Fields } from './fields.js'

const REASONS: Readonly<Record<number, string>> = {
  100: 'Continue', 101: 'Switching Protocols', 103: 'Early Hints', 200: 'OK', 201: 'Created', 202: 'Accepted',
  203: 'Non-Authoritative Information', 204: 'No Content', 205: 'Reset Content', 206: 'Partial Content',
  301: 'Moved Permanently', 302: 'Found', 303: 'See Other', 304: 'Not Modified', 307: 'Temporary Redirect',
  308: 'Permanent Redirect', 400: 'Bad Request', 401: 'Unauthorized', 402: 'Payment Required', 403: 'Forbidden',
  404: 'Not Found', 405: 'Method Not Allowed', 406: 'Not Acceptable', 407: 'Proxy Authentication Required',
  408: 'Request Timeout', 409: 'Conflict', 410: 'Gone', 411: 'Length Required', 412: 'Precondition Failed',
  413: 'Content Too Large', 414: 'URI Too Long', 415: 'Unsupported Media Type', 416: 'Range Not Satisfiable',
  417: 'Expectation Failed', 421: 'Misdirected Request', 422: 'Unprocessable Content', 425: 'Too Early',
  426: 'Upgrade Required', 428: 'Precondition Required', 429: 'Too Many Requests',
  431: 'Request Header Fields Too Large', 451: 'Unavailable For Legal Reasons', 500: 'Internal Server Error',
  501: 'Not Implemented', 502: 'Bad Gateway', 503: 'Service Unavailable', 504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported', 507: 'Insufficient Storage', 508: 'Loop Detected',
} // prettier-ignore

/** The standard reason phrase of a status. */
export function reasonOf(status: number): string {
  return REASONS[status] ?? 'Unknown'
}

const CRLF = '\r\n'

/** Text of a field section without its closing empty line. */
function fieldText(fields: Fields): string {
  const { names, values } = fields
  let text = ''
  for (let index = 0; index < names.length; index++) text += names[index]! + ': ' + values[index]! + CRLF
  return text
}

/** What a writer needs of a connection. */
export interface Output {
  cork(): void
  uncork(): void
  write(data: Buffer | string, encoding?: BufferEncoding): boolean
}

/** A head and a small body are joined into one string up to this size: one system call, no copy by Node's streams. */
const JOINED_BYTES = 8 * 1024

/** How the body after a head is delimited. */
export type BodyFraming = 'none' | 'length' | 'chunked'

/**
 * Writes one message: its head, held back until the first part of the body or the end, then the body. Re-frames what
 * it is given: parts become chunks if the framing is chunked.
 */
export class MessageWriter {
  readonly #output: Output
  readonly #framing: BodyFraming
  #head: string

  /**
   * @param head - start line and fields, each line with its CRLF, without the empty line
   */
  constructor(output: Output, head: string, framing: BodyFraming) {
    this.#output = output
    this.#head = head + CRLF
    this.#framing = framing
  }

  /** Sends the head if it still waits. */
  flush(): void {
    const head = this.#head
    if (head === '') return
    this.#head = ''
    this.#output.write(head, 'latin1')
  }

  /** Sends a part of the body; false asks to wait for room. */
  data(data: Buffer): boolean {
    const head = this.#head
    if (this.#framing === 'chunked') return this.#chunk(data)
    if (head === '') return this.#output.write(data)
    this.#head = ''
    if (data.length <= JOINED_BYTES) return this.#output.write(head + data.toString('latin1'), 'latin1')
    this.#output.cork()
    this.#output.write(head, 'latin1')
    const open = this.#output.write(data)
    this.#output.uncork()
    return open
  }

  /** Sends what closes the body. */
  end(trailers: Fields | undefined): void {
    if (this.#framing === 'chunked') {
      const tail = trailers && trailers.size > 0 ? `0${CRLF}${fieldText(trailers)}${CRLF}` : `0${CRLF}${CRLF}`
      this.#output.write(this.#head + tail, 'latin1')
      this.#head = ''
    } else {
      this.flush()
    }
  }

  #chunk(data: Buffer): boolean {
    if (data.length === 0) return true
    const open = this.#head + data.length.toString(16) + CRLF
    this.#head = ''
    if (data.length <= JOINED_BYTES)
      return this.#output.write(open + data.toString('latin1') + CRLF, 'latin1')
    this.#output.cork()
    this.#output.write(open, 'latin1')
    this.#output.write(data)
    const room = this.#output.write(CRLF, 'latin1')
    this.#output.uncork()
    return room
  }
}
