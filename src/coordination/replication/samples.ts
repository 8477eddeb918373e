/** How many are kept: minutes, at some a second. */
const KEPT = 1024

/**
 * Where the leader was, and when: what tells how old a follower is at most, also when nothing is written. Whoever has all up to
 * a position that the leader had at a moment has all that was acknowledged before that moment.
 */
export class Samples {
  /** Rising in both; of one position the last moment. */
  #kept: { at: number; position: bigint }[] = []

  /** The newest; undefined if there is none. */
  get last(): { readonly at: number; readonly position: bigint } | undefined {
    return this.#kept.at(-1)
  }

  /**
   * @param at - when the leader was asked, not when it answered, on the monotonic clock
   */
  add(at: number, position: bigint): void {
    const last = this.#kept.at(-1)
    if (last && (at < last.at || position < last.position)) return
    if (last?.position === position) last.at = at
    else this.#kept.push({ at, position })
    if (this.#kept.length > KEPT) this.#kept.splice(0, KEPT / 4)
  }

  /** The newest moment of which everything is up to `position`; undefined if that is older than what is kept. */
  coveredBy(position: bigint): number | undefined {
    let [low, high] = [0, this.#kept.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#kept[middle]!.position <= position) low = middle + 1
      else high = middle
    }
    return this.#kept[low - 1]?.at
  }

  /** Another timeline leads, which has the same up to here: what came behind it has not happened. */
  cut(end: bigint): void {
    this.#kept = this.#kept.filter(({ position }) => position <= end)
  }
}
