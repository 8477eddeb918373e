import type { Counter, Telemetry } from '../../../core/telemetry.js'
import { qualifiedPlural, type ResourceDefinition } from '../../resources/define.js'

/**
 * What is measured of garbage collection; what of its queue, by `banyan.workqueue`, beside.
 *
 * | metric | unit | meaning |
 * |---|---|---|
 * | `banyan.gc.collected` | `{resource}` | what was deleted because nobody owns it any more, by `banyan.resource` |
 * | `banyan.gc.problems` | `{resource}` | resources that something keeps from being collected, or from going |
 */
export class GarbageMeter {
  readonly #collected: Counter
  readonly #remove: () => void

  constructor(telemetry: Telemetry, problems: () => number) {
    this.#collected = telemetry.counter('banyan.gc.collected', {
      description: 'Resources that were deleted because nobody owns them any more.',
      unit: '{resource}',
    })
    this.#remove = telemetry.gauge(
      'banyan.gc.problems',
      { description: 'Resources that something keeps from going.', unit: '{resource}' },
      problems,
    )
  }

  collected(kind: ResourceDefinition): void {
    this.#collected.add(1, { 'banyan.resource': qualifiedPlural(kind) })
  }

  close(): void {
    this.#remove()
  }
}
