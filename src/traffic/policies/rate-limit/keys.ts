/** What is held for a key; a member of a doubly linked list in the order of use. */
export class Entry {
  readonly key: string
  older: Entry | undefined = undefined
  newer: Entry | undefined = undefined

  constructor(key: string) {
    this.key = key
  }
}

/** Entries by key. When there are too many, the one that was not used for longest is forgotten. */
export class Keys<E extends Entry> {
  readonly #entries = new Map<string, E>()
  readonly #most: number
  readonly #make: (key: string) => E
  #oldest: Entry | undefined = undefined
  #newest: Entry | undefined = undefined

  /**
   * @param most - entries held at the same time
   * @param make - the entry of a key that is new or was forgotten
   */
  constructor(most: number, make: (key: string) => E) {
    this.#most = most
    this.#make = make
  }

  get size(): number {
    return this.#entries.size
  }

  /** Looks, which is no use. */
  peek(key: string): E | undefined {
    return this.#entries.get(key)
  }

  /** The entry of a key that is being used, whether its call is then allowed or not. */
  use(key: string): E {
    const known = this.#entries.get(key)
    if (known === undefined) return this.#add(key)
    if (known !== this.#newest) {
      this.#unlink(known)
      this.#append(known)
    }
    return known
  }

  #add(key: string): E {
    if (this.#entries.size >= this.#most && this.#oldest) {
      this.#entries.delete(this.#oldest.key)
      this.#unlink(this.#oldest)
    }
    const entry = this.#make(key)
    this.#entries.set(key, entry)
    this.#append(entry)
    return entry
  }

  #append(entry: Entry): void {
    entry.older = this.#newest
    if (this.#newest) this.#newest.newer = entry
    else this.#oldest = entry
    this.#newest = entry
  }

  #unlink(entry: Entry): void {
    const { older, newer } = entry
    if (older) older.newer = newer
    else this.#oldest = newer
    if (newer) newer.older = older
    else this.#newest = older
    entry.older = entry.newer = undefined
  }
}
