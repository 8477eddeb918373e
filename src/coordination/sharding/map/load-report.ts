import type { Coordinator, Lease } from '../../coordinator.js'

/** How much of a new figure counts at once: the rest comes with those that follow. */
const FRESH = 0.3
/** Told to others only if it differs by that much, as a part of all. */
const WORTH = 0.05
/** Digits that are told. */
const DIGITS = 3

/** Smooths what buckets cost, and says when others should be told. */
export class LoadReport {
  readonly #smooth = new Map<string, number>()
  #told: ReadonlyMap<string, number> = new Map()

  /** @param load - 0 or more; anything else is left out */
  add(bucket: string, load: number): void {
    if (!(load >= 0 && load < Infinity)) return
    const before = this.#smooth.get(bucket)
    this.#smooth.set(bucket, before === undefined ? load : before + (load - before) * FRESH)
  }

  /** Forgets all other buckets. */
  keep(owned: ReadonlySet<string>): void {
    for (const bucket of this.#smooth.keys()) if (!owned.has(bucket)) this.#smooth.delete(bucket)
  }

  /** Whether what others know is too far from what is so. */
  get isNews(): boolean {
    let [all, apart] = [0, 0]
    for (const [bucket, load] of this.#smooth) {
      const told = this.#told.get(bucket)
      if (told === undefined) return true
      all += load
      apart += Math.abs(load - told)
    }
    for (const bucket of this.#told.keys()) if (!this.#smooth.has(bucket)) return true
    return apart > all * WORTH
  }

  /** Tells others. */
  async tell(coordinator: Coordinator, key: string, lease: Lease): Promise<void> {
    const telling = new Map(this.#smooth)
    const value = JSON.stringify(
      Object.fromEntries(Array.from(telling, ([bucket, load]) => [bucket, Number(load.toPrecision(DIGITS))])),
    )
    await coordinator.put(key, value, { lease })
    this.#told = telling
  }

  /** Others know nothing any more. */
  forgotten(): void {
    this.#told = new Map()
  }
}
