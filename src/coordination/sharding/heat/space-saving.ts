/** A key with how much it was counted: at most `count`, at least `count - error`. */
export interface Counted {
  readonly key: string
  readonly count: number
  readonly error: number
}

/**
 * The most frequent of any number of keys in the memory of a few: space-saving (Metwally, Agrawal and El Abbadi, "Efficient
 * computation of frequent and top-k elements in data streams", 2005). Who is new takes the place of the least one, and its count as
 * error. So of N counted every key with more than N / capacity is there, and no count is wrong by more than that.
 *
 * Counters are a heap by count, found by a table of hashes: nothing is allocated for a key.
 */
export class SpaceSaving {
  readonly #capacity: number
  readonly #keys: string[] = []
  readonly #hashes: Int32Array
  readonly #errors: Float64Array
  /** Counters, the least first; their counts, at the same places; and where in them each is. */
  readonly #heap: Int32Array
  readonly #counts: Float64Array
  readonly #places: Int32Array
  /** For each slot a counter and one, 0 where none is: open addressing, a run of slots has no holes. */
  readonly #slots: Int32Array
  readonly #mask: number

  /** @param capacity - keys that are counted at a time */
  constructor(capacity: number) {
    this.#capacity = capacity
    this.#hashes = new Int32Array(capacity)
    this.#counts = new Float64Array(capacity)
    this.#errors = new Float64Array(capacity)
    this.#heap = new Int32Array(capacity)
    this.#places = new Int32Array(capacity)
    const slots = 2 ** Math.ceil(Math.log2(capacity * 4))
    this.#slots = new Int32Array(slots)
    this.#mask = slots - 1
  }

  /** A key that is not among the counted ones has been counted no more than this. */
  get floor(): number {
    return this.#keys.length < this.#capacity ? 0 : this.#counts[0]!
  }

  /** @param hash - of the key, 32 bits */
  add(key: string, hash: number, weight: number): void {
    const bits = hash | 0
    let slot = bits & this.#mask
    for (let entry = this.#slots[slot]!; entry !== 0; entry = this.#slots[slot]!) {
      const counter = entry - 1
      if (this.#hashes[counter] === bits && this.#keys[counter] === key) {
        const place = this.#places[counter]!
        this.#sink(place, this.#counts[place]! + weight)
        return
      }
      slot = (slot + 1) & this.#mask
    }
    if (this.#keys.length < this.#capacity) {
      const counter = this.#keys.length
      this.#keys.push(key)
      this.#name(counter, bits)
      this.#rise(counter, weight)
      return
    }
    const counter = this.#heap[0]!
    this.#unname(counter)
    this.#keys[counter] = key
    this.#name(counter, bits)
    const least = this.#counts[0]!
    this.#errors[counter] = least
    this.#sink(0, least + weight)
  }

  /** All counts times a factor, as time goes by. */
  scale(factor: number): void {
    for (let counter = 0; counter < this.#keys.length; counter++) {
      this.#counts[counter]! *= factor
      this.#errors[counter]! *= factor
    }
  }

  /** The most counted first. */
  list(): Counted[] {
    return this.#keys
      .map((key, counter) => ({
        key,
        count: this.#counts[this.#places[counter]!]!,
        error: this.#errors[counter]!,
      }))
      .sort((a, b) => b.count - a.count)
  }

  #name(counter: number, bits: number): void {
    this.#hashes[counter] = bits
    let slot = bits & this.#mask
    while (this.#slots[slot] !== 0) slot = (slot + 1) & this.#mask
    this.#slots[slot] = counter + 1
  }

  #unname(counter: number): void {
    const slots = this.#slots
    let hole = this.#hashes[counter]! & this.#mask
    while (slots[hole] !== counter + 1) hole = (hole + 1) & this.#mask
    // Who stands behind moves up, unless its run begins behind the hole.
    for (let slot = (hole + 1) & this.#mask; slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
      const home = this.#hashes[slots[slot]! - 1]! & this.#mask
      if (((slot - home) & this.#mask) < ((slot - hole) & this.#mask)) continue
      slots[hole] = slots[slot]!
      hole = slot
    }
    slots[hole] = 0
  }

  /** Gives the counter of a place a higher count. */
  #sink(from: number, count: number): void {
    const heap = this.#heap
    const counts = this.#counts
    const size = this.#keys.length
    const counter = heap[from]!
    let place = from
    for (let child = 2 * place + 1; child < size; child = 2 * place + 1) {
      if (child + 1 < size && counts[child + 1]! < counts[child]!) child++
      if (counts[child]! >= count) break
      this.#put(place, heap[child]!, counts[child]!)
      place = child
    }
    this.#put(place, counter, count)
  }

  /** Adds the last counter. */
  #rise(counter: number, count: number): void {
    let place = counter
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (this.#counts[parent]! <= count) break
      this.#put(place, this.#heap[parent]!, this.#counts[parent]!)
      place = parent
    }
    this.#put(place, counter, count)
  }

  #put(place: number, counter: number, count: number): void {
    this.#heap[place] = counter
    this.#counts[place] = count
    this.#places[counter] = place
  }
}
