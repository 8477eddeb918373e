import type { Counter, Telemetry } from '../../../../core/telemetry.js'
import type { AnswerStore } from './store.js'

/** How a request was answered. */
export type CacheResult = 'hit' | 'miss' | 'stale' | 'stale-if-error' | 'revalidated' | 'collapsed' | 'bypass'

/** The metrics of one route's cache. */
export class Instruments {
  readonly #requests: Counter
  readonly #invalidations: Counter

  constructor(store: AnswerStore, waiting: () => number, route: string, telemetry: Telemetry) {
    const attributes = { 'banyan.route': route }
    this.#requests = telemetry.counter('banyan.cache.requests', {
      description: 'Requests that came to the cache, by how they were answered.',
      unit: '{request}',
      attributes,
    })
    this.#invalidations = telemetry.counter('banyan.cache.invalidations', {
      description: 'Answers that were forgotten because of a write.',
      unit: '{answer}',
      attributes,
    })
    const size = { description: 'Bytes of the answers that are kept.', unit: 'By', attributes }
    telemetry.gauge('banyan.cache.size', size, () => store.bytes)
    const answers = { description: 'Answers that are kept.', unit: '{answer}', attributes }
    telemetry.gauge('banyan.cache.answers', answers, () => store.count)
    const waiters = {
      description: 'Requests that wait for the answer to another one.',
      unit: '{request}',
      attributes,
    }
    telemetry.gauge('banyan.cache.waiting', waiters, waiting)
  }

  count(result: CacheResult): void {
    this.#requests.add(1, { 'banyan.cache.result': result })
  }

  invalidated(answers: number): void {
    this.#invalidations.add(answers)
  }
}
