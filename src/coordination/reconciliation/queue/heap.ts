/** What a {@link Heap} keeps. It knows where it is, so that it can be moved and taken out. */
export interface Placed {
  place: number
}

/** What comes first is at hand: a binary heap, from whose middle things can be taken. */
export class Heap<T extends Placed> {
  readonly #items: T[] = []
  readonly #before: (one: T, other: T) => boolean

  /** @param before - whether one comes before another; nothing in the heap may change in this without `advance` */
  constructor(before: (one: T, other: T) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    this.#rise(item, this.#items.length)
  }

  shift(): T | undefined {
    const first = this.#items[0]
    if (first) this.remove(first)
    return first
  }

  /** Takes out what is in the heap. */
  remove(item: T): void {
    const last = this.#items.pop()
    if (!last || last === item) return
    const { place } = item
    const parent = this.#items[(place - 1) >> 1]
    if (place > 0 && parent && this.#before(last, parent)) this.#rise(last, place)
    else this.#sink(last, place)
  }

  /** Something in the heap comes earlier than before. */
  advance(item: T): void {
    this.#rise(item, item.place)
  }

  clear(): void {
    this.#items.length = 0
  }

  #rise(item: T, from: number): void {
    let place = from
    while (place > 0) {
      const up = (place - 1) >> 1
      const parent = this.#items[up]!
      if (!this.#before(item, parent)) break
      this.#put(parent, place)
      place = up
    }
    this.#put(item, place)
  }

  #sink(item: T, from: number): void {
    const { length } = this.#items
    let place = from
    for (;;) {
      let down = 2 * place + 1
      if (down >= length) break
      if (down + 1 < length && this.#before(this.#items[down + 1]!, this.#items[down]!)) down++
      const child = this.#items[down]!
      if (!this.#before(child, item)) break
      this.#put(child, place)
      place = down
    }
    this.#put(item, place)
  }

  #put(item: T, place: number): void {
    this.#items[place] = item
    item.place = place
  }
}
