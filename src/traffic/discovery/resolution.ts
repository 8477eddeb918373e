import type { Timer } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import type { Runtime } from '../../core/runtime.js'
import type { Counter } from '../../core/telemetry.js'
import type { Family, Resolver } from './resolver.js'

/** How the name in an endpoint's URL stands for all its addresses. */
export interface ResolveOptions {
  /** The name is asked for again after this time, or after its time to live if that is shorter. Default `'30s'`. */
  every?: Duration
  /** Which addresses count. Default `auto`: IPv4, or IPv6 if there is none. */
  family?: Family
}

/** What `banyan status` shows of a name. Times in ms since the epoch. */
export interface ResolutionState {
  addresses: readonly string[]
  /** When they were last found. */
  resolvedAt?: number
  /** Why the last question failed, if it did. The addresses are those of before. */
  error?: string
}

/** Most addresses of one name; the rest is left out. */
const MOST_ADDRESSES = 256
/** A time to live below this would make us ask all the time. */
const LEAST_MS = 1_000
/** Time after which a failed question is asked again. */
const AGAIN_MS = 5_000

/** Keeps the addresses of a name up to date. When nobody answers, those of before stay. */
export class Resolution {
  readonly #name: string
  readonly #every: number
  readonly #family: Family
  readonly #resolver: Resolver
  readonly #runtime: Runtime
  readonly #onChange: () => void
  readonly #count: Counter
  readonly #about: Record<string, string>
  #addresses: readonly string[] = []
  #resolvedAt: number | undefined = undefined
  #error: string | undefined = undefined
  #timer: Timer | undefined = undefined
  #started = false
  #closed = false

  /**
   * @param service - what metrics and logs call the service
   * @param onChange - called after the addresses have become others
   */
  constructor(
    name: string,
    options: ResolveOptions,
    context: { service: string; resolver: Resolver; runtime: Runtime },
    onChange: () => void,
  ) {
    this.#name = name
    this.#every = duration(options.every ?? '30s', 'resolve.every')
    this.#family = options.family ?? 'auto'
    this.#resolver = context.resolver
    this.#runtime = context.runtime
    this.#onChange = onChange
    this.#about = { 'banyan.service': context.service, 'dns.question.name': name }
    this.#count = context.runtime.telemetry.counter('banyan.dns.resolutions', {
      description: 'Questions for the addresses of endpoints, by outcome.',
      unit: '{question}',
      attributes: this.#about,
    })
  }

  /** IP addresses, sorted; none before the first answer. */
  get addresses(): readonly string[] {
    return this.#addresses
  }

  start(): void {
    if (this.#started) return
    this.#started = true
    void this.#ask()
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  state(): ResolutionState {
    const { clock } = this.#runtime
    return {
      addresses: this.#addresses,
      ...(this.#resolvedAt !== undefined && { resolvedAt: this.#resolvedAt + clock.wall() - clock.now() }),
      ...(this.#error !== undefined && { error: this.#error }),
    }
  }

  async #ask(): Promise<void> {
    const { clock, random } = this.#runtime
    let wait: number
    try {
      const { addresses, ttl } = await this.#resolver.resolve(this.#name, this.#family)
      if (this.#closed) return
      wait = Math.max(LEAST_MS, Math.min(this.#every, ttl ?? Infinity))
      this.#onAddresses([...new Set(addresses)].sort())
    } catch (error) {
      if (this.#closed) return
      wait = Math.min(this.#every, AGAIN_MS)
      this.#onFailure(error instanceof Error ? error.message : String(error))
    }
    // A little earlier by chance, so that many names are not asked for at once for ever.
    this.#timer = clock.schedule(clock.now() + wait * (1 - random.next() / 10), () => void this.#ask())
  }

  #onAddresses(found: readonly string[]): void {
    const { clock, telemetry } = this.#runtime
    this.#count.add(1, { 'banyan.outcome': 'success' })
    if (this.#error !== undefined)
      telemetry.log('info', 'the name of an endpoint resolves again', this.#about)
    this.#error = undefined
    this.#resolvedAt = clock.now()
    if (found.length > MOST_ADDRESSES)
      telemetry.log('warn', `a name has ${found.length} addresses, ${MOST_ADDRESSES} are used`, this.#about)
    const used = found.slice(0, MOST_ADDRESSES)
    if (used.length === 0 || used.join() === this.#addresses.join()) return
    this.#addresses = used
    telemetry.log('info', 'the addresses of an endpoint have changed', {
      ...this.#about,
      addresses: used.join(', '),
    })
    this.#onChange()
  }

  #onFailure(error: string): void {
    this.#count.add(1, { 'banyan.outcome': 'failure' })
    if (this.#error === undefined)
      this.#runtime.telemetry.log('warn', 'the name of an endpoint cannot be resolved', {
        ...this.#about,
        reason: error,
        kept: this.#addresses.join(', ') || 'the name',
      })
    this.#error = error
  }
}
