import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** What every key begins with, so that people and scanners of leaked secrets know one when they see it. */
const PREFIX = 'bk_'

/** Bytes of chance in a key. */
const KEY_BYTES = 32

const HASH = /^sha256:([0-9a-f]{64})$/

/** Makes a new API key: 256 bits of chance. */
export function newKey(): string {
  return PREFIX + randomBytes(KEY_BYTES).toString('base64url')
}

/**
 * What a configuration holds in place of a key. A fast hash is right here: nobody can guess 256 random bits, however
 * fast; scrypt and bcrypt are for passwords, and would let anybody keep the gateway busy with wrong keys.
 */
export function hashKey(key: string): string {
  return `sha256:${hash('sha256', key)}`
}

export function isKeyHash(text: string): boolean {
  return HASH.test(text)
}

/** Compares two hashes in a time that does not depend on where they differ. */
export function sameHash(one: string, other: string): boolean {
  const a = Buffer.from(one)
  const b = Buffer.from(other)
  return a.length === b.length && timingSafeEqual(a, b)
}
