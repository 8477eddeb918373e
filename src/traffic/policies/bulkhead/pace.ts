/** How many measurements make an estimate that calls are refused by. */
const ENOUGH = 5

/** How much a new measurement changes an estimate, when there are many. */
const WEIGHT = 0.1

/**
 * How fast a full bulkhead gets on: measured while it is full, forgotten when it no longer is. So a bad estimate cannot
 * outlive the jam in which it was made, and a bulkhead with a free slot measures nothing.
 */
export class Pace {
  #freedAt: number | undefined = undefined
  /** ms between two slots that become free, on average. */
  #interval = 0
  #intervals = 0
  /** ms that a call from the queue takes to its result, on average. */
  #service = 0
  #services = 0

  /** Whether the bulkhead is full. */
  get measuring(): boolean {
    return this.#freedAt !== undefined
  }

  /** A call found no slot free. */
  begin(now: number): void {
    this.#freedAt ??= now
  }

  /** A slot became free, and the next call takes it. */
  freed(now: number): void {
    const interval = now - (this.#freedAt ?? now)
    this.#freedAt = now
    this.#interval += (interval - this.#interval) * Math.max(WEIGHT, 1 / ++this.#intervals)
  }

  /** A call that had waited came to a result. */
  served(ms: number): void {
    if (this.measuring) this.#service += (ms - this.#service) * Math.max(WEIGHT, 1 / ++this.#services)
  }

  /** A slot is free and nobody waits. */
  end(): void {
    this.#freedAt = undefined
    this.#interval = this.#intervals = this.#service = this.#services = 0
  }

  /** ms until it is the turn of the call at this place of the queue, from 1; `undefined` if not known. */
  waitAt(place: number): number | undefined {
    return this.#intervals < ENOUGH ? undefined : this.#interval * place
  }

  /** ms that a call takes, once it has a slot; `undefined` if not known. */
  get service(): number | undefined {
    return this.#services < ENOUGH ? undefined : this.#service
  }
}
