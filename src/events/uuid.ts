import { randomBytes } from 'node:crypto'

const BLOCK = 4096
let bytes = Buffer.alloc(0)
let used = 0
/** The last time that was written out, and its text: many ids are made in one ms. */
let lastTime = -1
let lastText = ''

/**
 * A UUID of version 7 (RFC 9562): its first 48 bits are the time, so that ids made one after the other lie next to each
 * other in an index. The other 74 bits are random.
 *
 * @param time - ms since the epoch
 */
export function uuid7(time: number): string {
  if (used + 10 > bytes.length) {
    bytes = randomBytes(BLOCK)
    used = 0
  }
  const random = bytes.toString('hex', used, used + 10)
  const variant = ((bytes[used + 9]! & 0x3) | 0x8).toString(16)
  used += 10
  if (time !== lastTime) {
    const text = Math.floor(time).toString(16).padStart(12, '0')
    lastTime = time
    lastText = `${text.slice(0, 8)}-${text.slice(8)}-7`
  }
  return `${lastText}${random.slice(0, 3)}-${variant}${random.slice(3, 6)}-${random.slice(6, 18)}`
}
