import type { Resource } from '../../resources/object.js'

/** What a resource is found by: one value, some, or none. */
export type IndexFunction = (resource: Resource) => string | readonly string[] | undefined

/** Keys of resources by what a function makes of them. */
export class ResourceIndex {
  readonly #by: IndexFunction
  readonly #failed: (error: unknown) => void
  /** Most values have one key: a set for each would be most of the memory. */
  readonly #keys = new Map<string, string | Set<string>>()

  constructor(by: IndexFunction, failed: (error: unknown) => void) {
    this.#by = by
    this.#failed = failed
  }

  keys(value: string): Iterable<string> {
    const keys = this.#keys.get(value) ?? []
    return typeof keys === 'string' ? [keys] : keys
  }

  /** A resource has taken the place of another, or one of both is not there. */
  replace(key: string, before: Resource | undefined, after: Resource | undefined): void {
    const was = before ? this.#values(before) : []
    const is = after ? this.#values(after) : []
    for (const value of was) if (!is.includes(value)) this.#remove(value, key)
    for (const value of is) if (!was.includes(value)) this.#add(value, key)
  }

  #values(resource: Resource): readonly string[] {
    try {
      const values = this.#by(resource) ?? []
      return typeof values === 'string' ? [values] : values
    } catch (error) {
      this.#failed(error)
      return []
    }
  }

  #add(value: string, key: string): void {
    const keys = this.#keys.get(value)
    if (keys === undefined) this.#keys.set(value, key)
    else if (typeof keys === 'string') {
      if (keys !== key) this.#keys.set(value, new Set([keys, key]))
    } else keys.add(key)
  }

  #remove(value: string, key: string): void {
    const keys = this.#keys.get(value)
    if (keys === key) this.#keys.delete(value)
    else if (typeof keys === 'object' && keys.delete(key) && keys.size === 0) this.#keys.delete(value)
  }
}
