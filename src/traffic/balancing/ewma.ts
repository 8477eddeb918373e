/** Time after which a sample has lost two thirds of its say, in ms. */
const TAU_MS = 10_000

/**
 * A moving average of latencies that believes bad news at once and good news slowly: a sample above the average
 * replaces it, one below moves it by how long ago the last one was. Time without samples lets it fall, so that an
 * endpoint that was slow once is tried again. As the peak EWMA of Twitter's Finagle.
 */
export class PeakEwma {
  #average = 0
  #at = 0

  /**
   * @param now - ms on the clock's scale
   * @param ms - a latency
   */
  observe(now: number, ms: number): void {
    this.#average = ms > this.#average ? ms : ms + (this.#average - ms) * this.#left(now)
    this.#at = now
  }

  /** ms; 0 if nothing is known. */
  read(now: number): number {
    return this.#average * this.#left(now)
  }

  /** How much of the average is left. */
  #left(now: number): number {
    return Math.exp(-Math.max(0, now - this.#at) / TAU_MS)
  }
}
