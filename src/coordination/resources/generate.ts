import type { Random } from '../../core/random.js'
import { LONGEST_LABEL } from './names.js'

/** No vowels, and nothing that looks like another: no words come out, and none is misread. As Kubernetes does. */
const LETTERS = 'bcdfghjklmnpqrstvwxz2456789'
const DRAWN = 5

/** A name that begins with `base`, and is most likely nobody's. */
export function generateName(base: string, random: Random): string {
  let name = base.slice(0, LONGEST_LABEL - DRAWN)
  for (let drawn = 0; drawn < DRAWN; drawn++) name += LETTERS[Math.floor(random.next() * LETTERS.length)]!
  return name
}

/** A random UUID (RFC 9562, version 4). */
export function generateUid(random: Random): string {
  const bytes = Uint8Array.from({ length: 16 }, () => Math.floor(random.next() * 256))
  bytes[6] = (bytes[6]! & 0x0f) | 0x40
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}
