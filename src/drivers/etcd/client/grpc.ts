/**
 * gRPC over HTTP/2, as much of it as etcd needs: messages with their length in front, a status at the end
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
 */
import type { OutgoingHttpHeaders } from 'node:http2'
import { Status, type CallFailure } from './fault.js'

const PREFIX_BYTES = 5

/** A message with its length. */
export function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  message.copy(framed, PREFIX_BYTES)
  return framed
}

/** Puts messages together from the pieces that come. */
export class FrameReader {
  #pieces: Buffer[] = []
  #size = 0

  /**
   * Takes one more piece.
   *
   * @returns the messages that are complete with it
   * @throws RangeError if a message is compressed, which nobody asked for
   */
  take(piece: Buffer): Buffer[] {
    this.#pieces.push(piece)
    this.#size += piece.length
    const messages: Buffer[] = []
    while (this.#size >= PREFIX_BYTES) {
      const length = PREFIX_BYTES + this.#head().readUInt32BE(1)
      if (this.#pieces[0]![0] !== 0) throw new RangeError('a message is compressed')
      if (this.#size < length) break
      const whole = this.#whole()
      messages.push(whole.subarray(PREFIX_BYTES, length))
      this.#pieces = whole.length > length ? [whole.subarray(length)] : []
      this.#size -= length
    }
    return messages
  }

  /** A piece that has the length; large messages are put together once, when all is there. */
  #head(): Buffer {
    return this.#pieces[0]!.length >= PREFIX_BYTES ? this.#pieces[0]! : this.#whole()
  }

  #whole(): Buffer {
    if (this.#pieces.length > 1) this.#pieces = [Buffer.concat(this.#pieces, this.#size)]
    return this.#pieces[0]!
  }
}

/** What one's own side of a call begins with. */
export function headersOf(path: string, metadata: OutgoingHttpHeaders): OutgoingHttpHeaders {
  return {
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...metadata,
  }
}

/**
 * How a call has ended, if its headers say so: those at its end, or those at its beginning if there is nothing else.
 *
 * @returns undefined if they do not; code 0 if it is done
 */
export function statusOf(headers: Readonly<Record<string, unknown>>): CallFailure | undefined {
  const code = headers['grpc-status']
  if (code !== undefined) return { code: Number(code), details: detailsOf(headers['grpc-message']) }
  const http = headers[':status']
  if (http === undefined || Number(http) === 200) return undefined
  return { code: Status.unavailable, details: `HTTP status ${Number(http)}, which is no gRPC` }
}

function detailsOf(message: unknown): string {
  const text = typeof message === 'string' ? message : ''
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
