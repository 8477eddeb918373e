/** Integers that may be kept, 256 MB of them. */
const CAPACITY = 2 ** 26

const NEXT = 0
const HASH = 1
const POSITION = 2
const STATE = 3
const BITS = 4

/**
 * The configurations that a search has been at, so that it goes on from each only once: Lowe's addition to the search of Wing and
 * Gong. A configuration is how far it has come, what it has put in order of what is under way, and the state.
 *
 * One that has used up fewer unanswered operations can do whatever one can that has used up those and others. So it stands for
 * that, too. Without this every unanswered operation would double the work.
 */
export class Configurations {
  readonly #ordered: number
  readonly #size: number
  #table = new Int32Array(1024)
  #entries = new Int32Array(4096)
  #end = 0
  #count = 0

  /** How many configurations have been compared with others. */
  compared = 0

  /**
   * @param ordered - words of the set of answered operations
   * @param used - words of the set of unanswered ones
   */
  constructor(ordered: number, used: number) {
    this.#ordered = ordered
    this.#size = BITS + ordered + used
  }

  /** Whether there is no room for another one. */
  get full(): boolean {
    return this.#end + this.#size > CAPACITY
  }

  /** Keeps a configuration; false if it, or one that can do as much, was there before. */
  add(position: number, state: number, ordered: Int32Array, used: Int32Array): boolean {
    const hash = hashOf(position, state, ordered)
    const entries = this.#entries
    for (let at = this.#table[hash & (this.#table.length - 1)]! - 1; at >= 0; at = entries[at + NEXT]! - 1) {
      if (entries[at + HASH] !== hash) continue
      this.compared++
      if (entries[at + POSITION] !== position || entries[at + STATE] !== state) continue
      if (equals(entries, at + BITS, ordered) && isSubset(entries, at + BITS + this.#ordered, used))
        return false
    }
    this.#insert(hash, position, state, ordered, used)
    return true
  }

  #insert(hash: number, position: number, state: number, ordered: Int32Array, used: Int32Array): void {
    const at = this.#end
    if (at + this.#size > this.#entries.length) {
      const larger = new Int32Array(Math.max(this.#entries.length * 2, at + this.#size))
      larger.set(this.#entries)
      this.#entries = larger
    }
    this.#entries[at + HASH] = hash
    this.#entries[at + POSITION] = position
    this.#entries[at + STATE] = state
    this.#entries.set(ordered, at + BITS)
    this.#entries.set(used, at + BITS + this.#ordered)
    this.#end += this.#size
    if (++this.#count > this.#table.length) this.#spread()
    else this.#link(at)
  }

  #link(at: number): void {
    const place = this.#entries[at + HASH]! & (this.#table.length - 1)
    this.#entries[at + NEXT] = this.#table[place]!
    this.#table[place] = at + 1
  }

  #spread(): void {
    this.#table = new Int32Array(this.#table.length * 4)
    for (let at = 0; at < this.#end; at += this.#size) this.#link(at)
  }
}

/** The mixing of MurmurHash3 (Austin Appleby). */
function hashOf(position: number, state: number, bits: Int32Array): number {
  let hash = mix(mix(0, position), state)
  for (const word of bits) hash = mix(hash, word)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

function mix(hash: number, word: number): number {
  let mixed = Math.imul(word, 0xcc9e2d51)
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 0x1b873593)
  mixed ^= hash
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0xe6546b64) | 0
}

function equals(entries: Int32Array, from: number, words: Int32Array): boolean {
  for (let index = 0; index < words.length; index++) if (entries[from + index] !== words[index]) return false
  return true
}

function isSubset(entries: Int32Array, from: number, words: Int32Array): boolean {
  for (let index = 0; index < words.length; index++)
    if ((entries[from + index]! & ~words[index]!) !== 0) return false
  return true
}
