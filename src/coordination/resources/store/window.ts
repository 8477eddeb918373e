import type { Resource } from '../object.js'

/** What has happened to a key. */
export interface ChangeRecord {
  readonly revision: number
  readonly key: string
  readonly before: Resource | undefined
  readonly after: Resource | undefined
  /** Roughly what it takes to keep, in characters. */
  readonly size: number
}

/** The last changes of a kind, oldest first: for those who watch, and for states of the past. Never above its limits. */
export class Window {
  readonly #mostRecords: number
  readonly #mostCharacters: number
  #records: ChangeRecord[] = []
  /** How many of `#records` are dropped already; they are taken out now and then. */
  #dropped = 0
  #characters = 0
  /** Number of the first in `#records` among all that there ever were. */
  #base = 0
  #oldest = 0

  constructor(mostRecords: number, mostCharacters: number) {
    this.#mostRecords = mostRecords
    this.#mostCharacters = mostCharacters
  }

  /** All changes behind this revision are there. */
  get oldest(): number {
    return this.#oldest
  }

  /** Number of the first change that is there. */
  get first(): number {
    return this.#base + this.#dropped
  }

  /** Forgets everything: what comes next is behind this revision. */
  reset(revision: number): void {
    // Who is somewhere in the middle finds itself before the first.
    this.#base = this.#base + this.#records.length + 1
    this.#records = []
    this.#dropped = 0
    this.#characters = 0
    this.#oldest = revision
  }

  add(record: ChangeRecord): void {
    this.#records.push(record)
    this.#characters += record.size
    while (
      this.#records.length - this.#dropped > this.#mostRecords ||
      (this.#characters > this.#mostCharacters && this.#records.length - this.#dropped > 1)
    ) {
      const { revision, size } = this.#records[this.#dropped]!
      this.#dropped++
      this.#characters -= size
      this.#oldest = revision
    }
    // Now and then, so that each is moved once or twice, and what was dropped does not stay in memory.
    if (this.#dropped * 2 < this.#records.length) return
    this.#records = this.#records.slice(this.#dropped)
    this.#base += this.#dropped
    this.#dropped = 0
  }

  /** The change of that number; undefined if it has not happened yet. */
  at(number: number): ChangeRecord | undefined {
    return this.#records[number - this.#base]
  }

  /** Number of the first change behind a revision, there or to come. */
  numberBehind(revision: number): number {
    let low = this.#dropped
    let high = this.#records.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#records[middle]!.revision <= revision) low = middle + 1
      else high = middle
    }
    return this.#base + low
  }

  /** The changes behind a revision, the last one first. */
  *backTo(revision: number): Generator<ChangeRecord> {
    const first = this.numberBehind(revision) - this.#base
    for (let index = this.#records.length - 1; index >= first; index--) yield this.#records[index]!
  }
}
