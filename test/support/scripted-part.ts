import type { OwnedPart } from '../../src/events/index.js'

/** A bucket of a shard map that does what a test says. */
export class ScriptedPart implements OwnedPart {
  readonly bucket: string | number
  readonly epoch: number
  readonly #ending = new AbortController()
  readonly #lost = new AbortController()

  constructor(bucket: string | number, epoch: number) {
    this.bucket = bucket
    this.epoch = epoch
  }

  get held(): boolean {
    return !this.#ending.signal.aborted && this.lease.held
  }

  get signal(): AbortSignal {
    return this.#ending.signal
  }

  get lease(): OwnedPart['lease'] {
    return { held: !this.#lost.signal.aborted, signal: this.#lost.signal }
  }

  /** It is to be given up. */
  give(): void {
    this.#ending.abort(new Error('moved'))
  }

  /** Its lease is over. */
  lose(): void {
    this.#lost.abort(new Error('the lease is over'))
    this.#ending.abort(new Error('lost'))
  }
}
