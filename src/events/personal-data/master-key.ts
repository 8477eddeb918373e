import { createHash } from 'node:crypto'
import { BanyanError } from '../../core/errors.js'
import { eventError } from '../errors.js'
import { decrypt, encrypt, KEY_BYTES } from './cipher.js'
import type { StoredKey } from './keys.js'

/** What wraps the keys of subjects, such as a key of a key management service. */
export interface MasterKey {
  /** Tells it from other master keys; kept with what it wraps. */
  readonly id: string
  /** @param context - whose key it is, to be authenticated with it */
  wrap(secret: Uint8Array, context: string): Uint8Array | Promise<Uint8Array>
  /** The secret again; rejects, or gives undefined, if it, the context or the master key is not the same. */
  unwrap(wrapped: Uint8Array, context: string): Uint8Array | undefined | Promise<Uint8Array | undefined>
}

/** A master key, or 32 bytes that are one: as bytes, or as text in hex or base64. */
export type MasterKeySource = MasterKey | Uint8Array | string

/** The master keys of a process: the first wraps, all unwrap. */
export class MasterKeys {
  readonly #keys: readonly MasterKey[]

  constructor(sources: readonly MasterKeySource[]) {
    this.#keys = sources.map((source) =>
      typeof source === 'string' || source instanceof Uint8Array ? localMasterKey(source) : source,
    )
  }

  /** Id of the one that wraps; undefined if there is none. */
  get newest(): string | undefined {
    return this.#keys[0]?.id
  }

  async wrap(secret: Uint8Array, subject: string, id: string): Promise<Uint8Array> {
    const [newest] = this.#keys
    return newest ? newest.wrap(secret, contextOf(subject, id)) : secret
  }

  /** @throws `BANYAN_SUBJECT_KEY_UNAVAILABLE` */
  async unwrap({ subject, id, masterKey }: StoredKey, secret: Uint8Array): Promise<Uint8Array> {
    if (masterKey === undefined) return secret
    const key = this.#keys.find((known) => known.id === masterKey)
    if (!key) {
      const given =
        this.#keys.length === 0 ? 'none is given' : `given: ${this.#keys.map((known) => known.id).join(', ')}`
      throw unavailable(subject, `is wrapped by master key ${masterKey}; ${given}`)
    }
    let plain: Uint8Array | undefined
    try {
      plain = await key.unwrap(secret, contextOf(subject, id))
    } catch (error) {
      throw unavailable(subject, `cannot be unwrapped by master key ${masterKey}: ${String(error)}`, error)
    }
    if (plain?.length !== KEY_BYTES)
      throw unavailable(
        subject,
        `is damaged: master key ${masterKey} does not unwrap it. Restore a backup of the keys`,
      )
    return plain
  }
}

function unavailable(subject: string, message: string, cause?: unknown): BanyanError {
  return eventError('BANYAN_SUBJECT_KEY_UNAVAILABLE', `the key of subject ${subject} ${message}`, cause)
}

/** A wrapped key that comes to another subject does not unwrap. */
function contextOf(subject: string, id: string): string {
  return JSON.stringify(['banyan subject key', 1, subject, id])
}

function localMasterKey(source: Uint8Array | string): MasterKey {
  const key = typeof source === 'string' ? bytesOf(source) : Buffer.from(source)
  if (key?.length !== KEY_BYTES)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'openSubjectKeys: a master key is 32 bytes, as text in hex or base64; `openssl rand -hex 32` makes one',
    )
  return {
    id: createHash('sha256').update('banyan master key').update(key).digest('hex').slice(0, 16),
    wrap: (secret, context) => encrypt(key, secret, context),
    unwrap: (wrapped, context) => decrypt(key, wrapped, context),
  }
}

function bytesOf(text: string): Buffer | undefined {
  if (/^[\da-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  return /^[\w+/-]{43}=?$/.test(text) ? Buffer.from(text, 'base64') : undefined
}
