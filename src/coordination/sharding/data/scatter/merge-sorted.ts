import type { Row } from '../store.js'
import type { Order, SortKey } from './order.js'

/** The rows of a database, in the order in which all are merged. */
export interface SortedSource {
  readonly shard: string
  /** Some rows at a time. */
  readonly batches: AsyncIterator<readonly Row[]>
}

/** Rows that are handed on together. */
const BATCH = 256

/**
 * Merges sorted rows into one sorted sequence: a heap of the next row of each database. Of rows that are equal those of the first database
 * come first. No more than a batch of each database is in memory.
 *
 * @returns rows, some at a time
 * @throws `BANYAN_QUERY_NOT_MERGEABLE` for a database whose rows are in another order
 */
export async function* mergeSorted(sources: readonly SortedSource[], order: Order): AsyncGenerator<Row[]> {
  // All at the same time: the first rows of an order are those that take long.
  const started = await Promise.all(
    sources.map(async (source, place) => {
      const head = new Head(source, place, order)
      return (await head.start()) ? [head] : []
    }),
  )
  const heads = started.flat()
  const before = (a: Head, b: Head): boolean => {
    const compared = order.compare(a.key, b.key)
    return compared === 0 ? a.place < b.place : compared < 0
  }
  for (let root = (heads.length >> 1) - 1; root >= 0; root--) sink(heads, root, before)
  let merged: Row[] = []
  while (heads.length > 0) {
    const head = heads[0]!
    merged.push(head.row)
    if (merged.length === BATCH) {
      yield merged
      merged = []
    }
    if (!head.step() && !(await head.refill())) {
      const last = heads.pop()!
      if (last === head) break
      heads[0] = last
    }
    sink(heads, 0, before)
  }
  if (merged.length > 0) yield merged
}

/** Where one database is. */
class Head {
  readonly place: number
  readonly #source: SortedSource
  readonly #order: Order
  #batch: readonly Row[] = []
  #next = 0
  row!: Row
  key!: SortKey

  constructor(source: SortedSource, place: number, order: Order) {
    this.#source = source
    this.place = place
    this.#order = order
  }

  async start(): Promise<boolean> {
    if (!(await this.#fetch())) return false
    this.row = this.#batch[this.#next++]!
    this.key = this.#order.keyOf(this.row)
    return true
  }

  /** To the next row that is here. */
  step(): boolean {
    const row = this.#batch[this.#next]
    if (!row) return false
    this.#next++
    const key = this.#order.keyOf(row)
    if (this.#order.compare(this.key, key) > 0) throw this.#order.mistaken(this.#source.shard, this.row, row)
    this.row = row
    this.key = key
    return true
  }

  /** To the next row, which has to be fetched. */
  async refill(): Promise<boolean> {
    return (await this.#fetch()) && this.step()
  }

  async #fetch(): Promise<boolean> {
    do {
      const next = await this.#source.batches.next()
      if (next.done === true) return false
      this.#batch = next.value
      this.#next = 0
    } while (this.#batch.length === 0)
    return true
  }
}

function sink(heads: Head[], root: number, before: (a: Head, b: Head) => boolean): void {
  const sinking = heads[root]
  if (!sinking) return
  for (let at = root; ;) {
    let child = 2 * at + 1
    const right = heads[child + 1]
    const left = heads[child]
    if (!left) return
    let least = left
    if (right && before(right, left)) {
      child++
      least = right
    }
    if (!before(least, sinking)) return
    heads[at] = least
    heads[child] = sinking
    at = child
  }
}
