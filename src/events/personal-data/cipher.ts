import { createCipheriv, createDecipheriv, randomBytes, type CipherKey } from 'node:crypto'

/** AES-256-GCM (NIST SP 800-38D). */
const ALGORITHM = 'aes-256-gcm'
export const KEY_BYTES = 32
/** A random one for each use; one key is good for 2^32 of them. */
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * Encrypts and authenticates.
 *
 * @param context - what it is and where it belongs: has to be the same to decrypt it
 * @returns nonce, ciphertext and tag
 */
export function encrypt(key: CipherKey, plain: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context))
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

/** What was encrypted; undefined if it, the key or the context is not the same. */
export function decrypt(key: CipherKey, sealed: Uint8Array, context: string): Buffer | undefined {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined
  const cipher = createDecipheriv(ALGORITHM, key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
  cipher.setAAD(Buffer.from(context))
  cipher.setAuthTag(sealed.subarray(-TAG_BYTES))
  const plain = cipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES))
  try {
    cipher.final()
    return plain
  } catch {
    return undefined
  }
}
