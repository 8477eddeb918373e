import { eventError } from '../../errors.js'
import type { OwnedPart } from '../../owned-part.js'
import type { Fencing } from '../message.js'

/** The time for which a partition is worked on for a bucket of a shard map: what handlers show to the resources that they guard. */
export class Tenure implements Fencing {
  readonly name: string
  readonly token: Fencing['token']
  readonly #part: OwnedPart

  /** @param name - of the fence */
  constructor(name: string, part: OwnedPart) {
    this.name = name
    this.#part = part
    this.token = { token: part.epoch, check: () => this.#check() }
  }

  /** Whether messages may be begun, by the clock. */
  get isHeld(): boolean {
    return this.#part.held
  }

  /** What is under way while the bucket is given up is waited for, and may do what it has to. */
  #check(): void {
    if (this.#part.lease.held) return
    throw eventError(
      'BANYAN_DELIVERY_ENDED',
      `the bucket ${this.#part.bucket} that ${this.name} stands for was lost: another process may handle its messages by now`,
      this.#part.lease.signal.reason,
    )
  }
}
