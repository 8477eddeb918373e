import { createSecretKey, randomBytes } from 'node:crypto'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import { checkName } from '../names.js'
import { KEY_BYTES } from './cipher.js'
import { KeyCache } from './key-cache.js'
import type { StoredKey, SubjectInfo, SubjectKey, SubjectKeys, SubjectKeyStore } from './keys.js'
import { MasterKeys, type MasterKeySource } from './master-key.js'

/** Options of `openSubjectKeys`. */
export interface SubjectKeysOptions {
  /**
   * What wraps the keys in the store, so that the store alone opens nothing; of several, the first wraps and all unwrap.
   * Default none.
   */
  masterKey?: MasterKeySource | readonly MasterKeySource[]
  /** How long a key is used before the store is asked again, and so how long one lives that another process deletes; default `'10s'`. */
  cacheFor?: Duration
  /** How many keys are cached; default 10,000. */
  cacheKeys?: number
  /** Time; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<SubjectKeysOptions> = {
  masterKey: {
    kind: 'either',
    of: [
      { kind: 'string', doc: 'hex or base64' },
      { kind: 'code', type: 'object', doc: 'bytes, a master key, or a list' },
    ],
    doc: 'what wraps the keys',
  },
  cacheFor: { kind: 'duration', doc: 'how long a key is used before the store is asked again' },
  cacheKeys: { kind: 'number', min: 0, integer: true, doc: 'how many keys are cached' },
  runtime: { kind: 'code', type: 'object', doc: 'time' },
}

const LISTED = 1000
const ID_BYTES = 12

/** The keys of subjects over any store: makes, wraps and caches them. */
export class Keyring implements SubjectKeys {
  readonly #store: SubjectKeyStore
  readonly #masterKeys: MasterKeys
  readonly #cache: KeyCache
  readonly #clock: Runtime['clock']

  constructor(store: SubjectKeyStore, options: SubjectKeysOptions = {}) {
    checkOptions('openSubjectKeys', OPTIONS, options)
    // As of an environment variable that is not set: keys would be stored for everybody to read.
    if ('masterKey' in options && (options.masterKey as unknown) === undefined)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        'openSubjectKeys: masterKey is undefined; leave it out to go without one',
      )
    const { masterKey = [], cacheFor = '10s', cacheKeys = 10_000 } = options
    this.#store = store
    this.#clock = (options.runtime ?? systemRuntime).clock
    this.#masterKeys = new MasterKeys(
      Array.isArray(masterKey) ? (masterKey as MasterKeySource[]) : [masterKey as MasterKeySource],
    )
    this.#cache = new KeyCache(cacheKeys, duration(cacheFor, 'cacheFor'), this.#clock)
  }

  async get(subject: string): Promise<SubjectKey | 'forgotten' | undefined> {
    return this.#cache.get(subject, async () => {
      const stored = await this.#store.get(subject)
      return stored && (await this.#open(stored))
    })
  }

  async create(subject: string): Promise<SubjectKey> {
    checkName(subject, 'the name of a subject')
    let known = await this.get(subject)
    // Not once only: it may have waited for somebody who merely looked.
    while (known === undefined) known = await this.#cache.get(subject, () => this.#make(subject))
    if (known !== 'forgotten') return known
    throw eventError(
      'BANYAN_SUBJECT_FORGOTTEN',
      `subject ${subject} was forgotten: nothing personal can be kept of it any more; leave these fields out`,
    )
  }

  async forget(subject: string): Promise<boolean> {
    checkName(subject, 'the name of a subject')
    try {
      return await this.#store.forget(subject, Math.floor(this.#clock.wall()))
    } finally {
      this.#cache.drop(subject)
    }
  }

  async *list(
    options: { after?: string; limit?: number } = {},
  ): AsyncGenerator<SubjectInfo, void, undefined> {
    for await (const { subject, created, forgotten, masterKey } of this.#stored(options))
      yield { subject, created, forgotten, masterKey }
  }

  async rotate(): Promise<number> {
    const { newest } = this.#masterKeys
    if (newest === undefined)
      throw eventError('BANYAN_UNSUPPORTED', 'there is no master key to wrap the keys of subjects with')
    let count = 0
    for await (const stored of this.#stored({})) {
      const { subject, id, secret } = stored
      if (!secret || stored.masterKey === newest) continue
      const plain = await this.#masterKeys.unwrap(stored, secret)
      const wrapped = await this.#masterKeys.wrap(plain, subject, id)
      if (await this.#store.replace(stored, wrapped, newest)) count++
    }
    return count
  }

  close(): Promise<void> {
    this.#cache.clear()
    return this.#store.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #make(subject: string): Promise<SubjectKey | 'forgotten'> {
    const id = randomBytes(ID_BYTES).toString('base64url')
    const secret = await this.#masterKeys.wrap(randomBytes(KEY_BYTES), subject, id)
    const created = Math.floor(this.#clock.wall())
    const masterKey = this.#masterKeys.newest
    // Another process may have been first: what the store has then is the key.
    return this.#open(
      await this.#store.insert({ subject, id, created, forgotten: undefined, secret, masterKey }),
    )
  }

  async #open(stored: StoredKey): Promise<SubjectKey | 'forgotten'> {
    if (!stored.secret) return 'forgotten'
    return { id: stored.id, key: createSecretKey(await this.#masterKeys.unwrap(stored, stored.secret)) }
  }

  async *#stored({
    after = '',
    limit = Infinity,
  }: {
    after?: string
    limit?: number
  }): AsyncGenerator<StoredKey> {
    for (let left = limit; left > 0;) {
      const asked = Math.min(left, LISTED)
      const found = await this.#store.list(after, asked)
      yield* found
      if (found.length < asked) return
      left -= found.length
      after = found.at(-1)!.subject
    }
  }
}
