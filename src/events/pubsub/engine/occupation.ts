import type { InFlight, Slot } from './slot.js'

/** What is done for a key of a partition without a message: the partition is given up only when it has ended. */
export class Occupation implements InFlight {
  /** Told when the partition is not this process's any more. */
  onDrop: (() => void) | undefined
  readonly #slot: Slot

  constructor(slot: Slot) {
    this.#slot = slot
    slot.deliveries.add(this)
  }

  drop(): void {
    this.onDrop?.()
  }

  leave(): void {
    this.#slot.left(this)
  }
}
