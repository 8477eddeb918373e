import type { Database } from 'better-sqlite3'
import { categoryNames, tagNames, type Names } from '../names.js'
import type { CategoryRow, TagRow } from '../rows.js'
import type { Tail } from './tail.js'

/** How many are remembered. */
const LIMIT = 10_000

/**
 * What comes before an event in its category and for each of its tags. Each event says so, which lets a reader see when
 * an index has left one out.
 */
export class Chains {
  readonly #tail: Tail
  readonly #categories: Names<CategoryRow>
  readonly #tags: Names<TagRow>
  /** Of what is in the indexes. */
  readonly #lastOfCategory = new Map<number, number>()
  readonly #lastOfTag = new Map<string, number>()

  constructor(db: Database, file: string, tail: Tail) {
    this.#tail = tail
    this.#categories = categoryNames(db, file)
    this.#tags = tagNames(db, file)
  }

  /** Position of the last event of a category; 0 if there is none. */
  lastOfCategory(category: number): number {
    const last = this.#tail.lastOfCategory(category)?.position ?? this.#lastOfCategory.get(category)
    return last ?? remember(this.#lastOfCategory, category, this.#categories.get(category).last)
  }

  /** Position of the last event with a tag; 0 if there is none. */
  lastOfTag(tag: string): number {
    const last = this.#tail.lastOfTag(tag)?.position ?? this.#lastOfTag.get(tag)
    return last ?? remember(this.#lastOfTag, tag, this.#tags.find(tag)?.last ?? 0)
  }

  /** To be called when the indexes have changed. */
  clear(): void {
    this.#lastOfCategory.clear()
    this.#lastOfTag.clear()
  }
}

function remember<Key>(map: Map<Key, number>, key: Key, value: number): number {
  if (map.size >= LIMIT) map.clear()
  map.set(key, value)
  return value
}
