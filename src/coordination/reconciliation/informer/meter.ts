import type { Counter, Telemetry } from '../../../core/telemetry.js'
import { qualifiedPlural, type ResourceDefinition } from '../../resources/define.js'

/**
 * What is measured of informers, each by `banyan.resource`, the kind: `promotions.shop.example`.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.informer.resources` | `{resource}` | how many it has |
 * | `banyan.informer.changes` | `{change}` | changes that it has seen, by `banyan.change`: `added`, `changed`, `deleted` |
 * | `banyan.informer.lists` | `{list}` | how often it has listed everything |
 * | `banyan.informer.failures` | `{failure}` | lists and watches that have failed |
 */
export class InformerMeter {
  readonly #changes: Counter
  readonly #lists: Counter
  readonly #failures: Counter
  readonly #remove: () => void

  constructor(kind: ResourceDefinition, telemetry: Telemetry, size: () => number) {
    const attributes = { 'banyan.resource': qualifiedPlural(kind) }
    const counter = (name: string, description: string): Counter =>
      telemetry.counter(`banyan.informer.${name}s`, { description, unit: `{${name}}`, attributes })
    this.#changes = counter('change', 'Changes of resources that were seen.')
    this.#lists = counter('list', 'How often everything was listed.')
    this.#failures = counter('failure', 'Lists and watches that have failed.')
    this.#remove = telemetry.gauge(
      'banyan.informer.resources',
      { description: 'Resources in the cache.', unit: '{resource}', attributes },
      size,
    )
  }

  changed(type: string): void {
    this.#changes.add(1, { 'banyan.change': type })
  }

  listed(): void {
    this.#lists.add(1)
  }

  failed(): void {
    this.#failures.add(1)
  }

  close(): void {
    this.#remove()
  }
}
