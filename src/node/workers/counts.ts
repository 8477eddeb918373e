import type { RateStores } from '../../traffic/gateway/policies.js'
import { MemoryQuotaStore, type QuotaCount, type QuotaStore } from '../../traffic/gateway/quota-store.js'
import type { Runtime } from '../../core/runtime.js'
import {
  rateLimit,
  type RateDecision,
  type RateLimit,
  type RateLimitOptions,
} from '../../traffic/policies/rate-limit.js'
import type { Channel, Handlers } from './channel.js'

interface QuotaRequest {
  key: string
  limit: number
  until: number
}

interface RateRequest {
  name: string
  options: RateLimitOptions
  key: string
}

/** Counts for all workers of a node, so that together they keep the limits of one. */
export class CommonCounts {
  readonly #runtime: Runtime
  readonly #quotas: QuotaStore
  /** By name and options: a limit that is changed begins anew. */
  readonly #rates = new Map<string, RateLimit>()
  /** What a worker may ask. */
  readonly handlers: Handlers = {
    quota: ({ key, limit, until }: QuotaRequest) => this.#quotas.take(key, limit, until),
    rate: (request: RateRequest) => this.#rate(request),
  }

  constructor(runtime: Runtime) {
    this.#runtime = runtime
    this.#quotas = new MemoryQuotaStore(runtime.clock)
  }

  /** Forgets the limits of a configuration that is no longer in force. */
  reset(): void {
    this.#rates.clear()
  }

  #rate({ name, options, key }: RateRequest): RateDecision {
    const id = JSON.stringify([name, options])
    let limit = this.#rates.get(id)
    if (!limit) this.#rates.set(id, (limit = rateLimit({ ...options, name, runtime: this.#runtime })))
    return limit.take(key)
  }
}

/** Lets the supervisor count. */
export class CountsElsewhere {
  readonly quotaStore: QuotaStore
  readonly rateStores: RateStores

  constructor(channel: Channel) {
    this.quotaStore = {
      take: (key, limit, until) =>
        channel.ask<QuotaCount>('quota', { key, limit, until } satisfies QuotaRequest),
    }
    this.rateStores = (name, options) => ({
      take: (key) => channel.ask<RateDecision>('rate', { name, options, key } satisfies RateRequest),
    })
  }
}
