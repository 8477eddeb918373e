/** Classes that grow by a tenth: from 1 us to about 15 min. */
const CLASSES = 217
const GROWTH = Math.log(1.1)

/** Counts latencies in classes of constant relative width: little memory, and quantiles to within a tenth. */
export class LatencyHistogram {
  /** Latencies counted. */
  total = 0
  readonly #classes = new Uint32Array(CLASSES)

  /** Counts one, in ms. */
  count(ms: number): void {
    const index = ms <= 0.001 ? 0 : Math.min(CLASSES - 1, Math.floor(Math.log(ms * 1000) / GROWTH))
    this.#classes[index]!++
    this.total++
  }

  /** Counts everything that another one has. */
  add(other: LatencyHistogram): void {
    for (let index = 0; index < CLASSES; index++) this.#classes[index]! += other.#classes[index]!
    this.total += other.total
  }

  clear(): void {
    if (this.total === 0) return
    this.#classes.fill(0)
    this.total = 0
  }

  /**
   * @param share - 0 to 1
   * @returns ms that this share of the latencies does not exceed, at most a tenth above the least such number;
   *   `undefined` if nothing was counted
   */
  quantile(share: number): number | undefined {
    if (this.total === 0) return undefined
    let left = this.total * share
    let index = 0
    while (index < CLASSES - 1 && (left -= this.#classes[index]!) > 0) index++
    return Math.exp((index + 1) * GROWTH) / 1000
  }
}
