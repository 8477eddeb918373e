import { Variants, type Sent } from '../../semantics/variants.js'
import type { CachedAnswer } from './cached-answer.js'

/** Where answers are kept. What it keeps it may forget at any time. */
export interface AnswerStore {
  readonly bytes: number
  readonly count: number
  /** The kept answer for such a request, and whether the resource is known at all. */
  find(key: string, sent: Sent): { answer: CachedAnswer | undefined; known: boolean }
  /** What tells requests for that resource apart, as far as is known. */
  selection(key: string, sent: Sent): string
  put(key: string, names: readonly string[], sent: Sent, answer: CachedAnswer): void
  /** Forgets one answer. */
  drop(key: string, answer: CachedAnswer): void
  /** Forgets a resource. Returns how many answers that were. */
  forget(key: string): number
  /** Forgets resources. Returns how many answers that were. */
  purge(matches: (key: string) => boolean): number
}

interface Resource {
  readonly variants: Variants<CachedAnswer>
  bytes: number
}

/** Keeps answers in memory, up to a number of bytes; what was not asked for longest goes first. */
export class MemoryStore implements AnswerStore {
  bytes = 0
  count = 0
  readonly #most: number
  readonly #onEvict: (answers: number) => void
  /** The one used last is the last. */
  readonly #resources = new Map<string, Resource>()

  /** @param most - bytes */
  constructor(most: number, onEvict: (answers: number) => void) {
    this.#most = most
    this.#onEvict = onEvict
  }

  find(key: string, sent: Sent): { answer: CachedAnswer | undefined; known: boolean } {
    const resource = this.#resources.get(key)
    if (!resource) return { answer: undefined, known: false }
    this.#resources.delete(key)
    this.#resources.set(key, resource)
    return { answer: resource.variants.find(sent), known: true }
  }

  selection(key: string, sent: Sent): string {
    return this.#resources.get(key)?.variants.selectionOf(sent) ?? ''
  }

  put(key: string, names: readonly string[], sent: Sent, answer: CachedAnswer): void {
    if (answer.size > this.#most) return
    const resource = this.#resources.get(key) ?? { variants: new Variants<CachedAnswer>(), bytes: 0 }
    this.#resources.delete(key)
    this.#resources.set(key, resource)
    this.#count(resource, 1, answer.size)
    for (const gone of resource.variants.put(names, sent, answer)) this.#count(resource, -1, -gone.size)
    while (this.bytes > this.#most) {
      const [oldest] = this.#resources.keys()
      this.#onEvict(this.forget(oldest!))
    }
  }

  drop(key: string, answer: CachedAnswer): void {
    const resource = this.#resources.get(key)
    if (!resource?.variants.delete(answer)) return
    this.#count(resource, -1, -answer.size)
    if (resource.variants.size === 0) this.#resources.delete(key)
  }

  purge(matches: (key: string) => boolean): number {
    let count = 0
    for (const key of [...this.#resources.keys()]) if (matches(key)) count += this.forget(key)
    return count
  }

  forget(key: string): number {
    const resource = this.#resources.get(key)
    if (!resource) return 0
    this.#resources.delete(key)
    this.bytes -= resource.bytes
    this.count -= resource.variants.size
    return resource.variants.size
  }

  #count(resource: Resource, answers: number, bytes: number): void {
    resource.bytes += bytes
    this.bytes += bytes
    this.count += answers
  }
}
