import { isDeepStrictEqual } from 'node:util'
import { createLocalJWKSet, type JSONWebKeySet } from 'jose'
import { duration, formatDuration } from '../../../../core/duration.js'
import type { Counter } from '../../../../core/telemetry.js'
import type { AuthenticatorContext } from './authenticator.js'
import { fetchJson, type FetchLimits } from './fetch-json.js'
import { publicKeys } from './key-set.js'
import type { RemoteKeysSpec } from './spec.js'

/** A set of keys in force. */
export interface Keys {
  readonly find: ReturnType<typeof createLocalJWKSet>
  /** Another one whenever the keys are others. */
  readonly version: number
}

/** A larger JWK set is refused, in bytes. */
const MOST_BYTES = 256 * 1024

/** The first pause after a failed fetch, in ms; it doubles up to `cooldown`. */
const FIRST_PAUSE_MS = 1_000

/** There are no keys to verify with. */
export class KeysUnavailable extends Error {
  /** ms */
  readonly retryAfter: number

  constructor(message: string, retryAfter: number) {
    super(message)
    this.retryAfter = retryAfter
  }
}

/**
 * Keys that somebody else publishes and rotates. Fetched when they are first needed and when they have become old, the
 * latter beside the requests; once for all who wait; after a failure not before a pause that doubles. There is no timer:
 * a gateway that nobody asks fetches nothing.
 */
export class RemoteKeys {
  readonly #url: string
  readonly #context: AuthenticatorContext
  readonly #refreshEvery: number
  readonly #cooldown: number
  readonly #useStaleFor: number
  readonly #limits: FetchLimits
  readonly #fetches: Counter
  #keys: Keys | undefined = undefined
  #source: JSONWebKeySet | undefined = undefined
  #fetchedAt = -Infinity
  #triedAt = -Infinity
  #askedAt = -Infinity
  #failures = 0
  #fetching: Promise<void> | undefined = undefined

  constructor(spec: RemoteKeysSpec, context: AuthenticatorContext) {
    this.#url = spec.url
    this.#context = context
    this.#refreshEvery = duration(spec.refreshEvery ?? '10m', 'keys.refreshEvery')
    this.#cooldown = duration(spec.cooldown ?? '30s', 'keys.cooldown')
    this.#useStaleFor = duration(spec.useStaleFor ?? '24h', 'keys.useStaleFor')
    this.#limits = { timeout: duration(spec.timeout ?? '5s', 'keys.timeout'), most: MOST_BYTES }
    this.#fetches = context.runtime.telemetry.counter('banyan.access.key_fetches', {
      description: 'Times that the keys for tokens were fetched.',
      unit: '{fetch}',
      attributes: { 'banyan.authenticator': context.name },
    })
    void this.#fetch()
  }

  /**
   * The keys to verify with.
   *
   * @returns rejects with {@link KeysUnavailable} if there were never any, or none for longer than `useStaleFor`
   */
  current(): Keys | Promise<Keys> {
    const age = this.#context.runtime.clock.now() - this.#fetchedAt
    if (this.#keys && age < this.#refreshEvery) return this.#keys
    if (this.#keys && age < this.#useStaleFor) {
      if (this.#pause() <= 0) void this.#fetch()
      return this.#keys
    }
    return this.#wait()
  }

  /**
   * Fetches the keys anew for a token whose key is not among them, at most once in the cooldown, so that tokens with
   * invented key ids cost the publisher nothing.
   *
   * @returns whether there are other keys now
   */
  async another(before: Keys): Promise<boolean> {
    const now = this.#context.runtime.clock.now()
    if (this.#keys === before && now - this.#askedAt >= this.#cooldown && this.#pause() <= 0) {
      this.#askedAt = now
      await this.#fetch()
    } else if (this.#fetching) {
      await this.#fetching
    }
    return this.#keys !== before
  }

  async #wait(): Promise<Keys> {
    if (this.#fetching || this.#pause() <= 0) await this.#fetch()
    const { clock } = this.#context.runtime
    const limit = Math.max(this.#useStaleFor, this.#refreshEvery)
    if (this.#keys && clock.now() - this.#fetchedAt < limit) return this.#keys
    throw new KeysUnavailable('the keys cannot be fetched', Math.max(1_000, this.#pause()))
  }

  /** ms until the next fetch is allowed after failures. */
  #pause(): number {
    if (this.#failures === 0) return 0
    const pause = Math.min(
      FIRST_PAUSE_MS * 2 ** (this.#failures - 1),
      Math.max(this.#cooldown, FIRST_PAUSE_MS),
    )
    return this.#triedAt + pause - this.#context.runtime.clock.now()
  }

  #fetch(): Promise<void> {
    this.#fetching ??= this.#load().finally(() => (this.#fetching = undefined))
    return this.#fetching
  }

  async #load(): Promise<void> {
    const { fetch, runtime, name } = this.#context
    const { clock, telemetry } = runtime
    this.#triedAt = clock.now()
    try {
      const init = { headers: { accept: 'application/jwk-set+json, application/json' } }
      const source = publicKeys(await fetchJson(fetch, this.#url, init, this.#limits, clock))
      if (!isDeepStrictEqual(source, this.#source)) {
        this.#keys = { find: createLocalJWKSet(source), version: (this.#keys?.version ?? 0) + 1 }
        this.#source = source
      }
      this.#fetchedAt = clock.now()
      this.#failures = 0
      this.#fetches.add(1, { 'banyan.outcome': 'ok' })
    } catch (error) {
      this.#failures++
      this.#fetches.add(1, { 'banyan.outcome': 'failed' })
      const age = this.#keys ? `; those of ${formatDuration(clock.now() - this.#fetchedAt)} ago are used` : ''
      telemetry.log('warn', `authenticator ${name}: the keys cannot be fetched${age}`, {
        'url.full': this.#url,
        'exception.message': causeOf(error),
      })
    }
  }
}

/** `fetch` hides what happened in the cause. */
function causeOf(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}
