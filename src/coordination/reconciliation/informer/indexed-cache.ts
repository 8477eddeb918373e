import type { Resource } from '../../resources/object.js'
import { ResourceIndex, type IndexFunction } from './resource-index.js'

/** Resources by their keys, and by whatever functions make of them. Keeps them as they are given, not copies. */
export class IndexedCache {
  readonly #objects = new Map<string, Resource>()
  readonly #indexes = new Map<IndexFunction, ResourceIndex>()
  readonly #failed: (error: unknown) => void

  /** @param failed - told what an index function throws; the resource is not in that index then */
  constructor(failed: (error: unknown) => void) {
    this.#failed = failed
  }

  get size(): number {
    return this.#objects.size
  }

  get(key: string): Resource | undefined {
    return this.#objects.get(key)
  }

  values(): IterableIterator<Resource> {
    return this.#objects.values()
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys()
  }

  set(key: string, resource: Resource): void {
    const before = this.#objects.get(key)
    this.#objects.set(key, resource)
    for (const index of this.#indexes.values()) index.replace(key, before, resource)
  }

  delete(key: string): void {
    const before = this.#objects.get(key)
    if (before === undefined) return
    this.#objects.delete(key)
    for (const index of this.#indexes.values()) index.replace(key, before, undefined)
  }

  /** The same function is the same index. */
  index(by: IndexFunction): (value: string) => readonly Resource[] {
    let index = this.#indexes.get(by)
    if (!index) {
      index = new ResourceIndex(by, this.#failed)
      for (const [key, resource] of this.#objects) index.replace(key, undefined, resource)
      this.#indexes.set(by, index)
    }
    const found = index
    return (value) => Array.from(found.keys(value), (key) => this.#objects.get(key)!)
  }
}
