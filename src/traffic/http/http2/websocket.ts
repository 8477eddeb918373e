import { createHash } from 'node:crypto'

/** What RFC 6455 1.3 has a server append to the key. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/**
 * Whether the other side has understood that it speaks WebSocket from now on.
 *
 * @param key - what was sent as Sec-WebSocket-Key
 * @param accept - what came back as Sec-WebSocket-Accept
 */
export function switchAccepted(key: string, accept: unknown): boolean {
  return (
    accept ===
    createHash('sha1')
      .update(key + GUID)
      .digest('base64')
  )
}
