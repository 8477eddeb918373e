import { compareElements, type PathElement } from './path-element.js'

/** The way to a field. */
export type Path = readonly PathElement[]

/**
 * A set of fields of an object, as a tree. That a field is in the set says nothing of those above and below it. Sets
 * are not changed once they are handed on; only {@link insert} changes one.
 */
export class FieldSet {
  readonly #members = new Set<PathElement>()
  readonly #children = new Map<PathElement, FieldSet>()

  /** A set of these fields. */
  static of(...paths: readonly Path[]): FieldSet {
    const set = new FieldSet()
    for (const path of paths) set.insert(path)
    return set
  }

  /** Adds a field; the object itself, with no way to it, is none. */
  insert(path: Path): void {
    if (path.length > 0) this.#insert(path, 0)
  }

  /** Whether nothing is in the set. */
  get empty(): boolean {
    return this.#members.size === 0 && this.#children.size === 0
  }

  /** What is here or has something below, in no order. */
  elements(): ReadonlySet<PathElement> {
    const elements = new Set(this.#members)
    for (const element of this.#children.keys()) elements.add(element)
    return elements
  }

  /** The same in the order of `fieldsV1`. */
  ordered(): readonly PathElement[] {
    return [...this.elements()].toSorted(compareElements)
  }

  /** Whether a field right here is in the set. */
  has(element: PathElement): boolean {
    return this.#members.has(element)
  }

  /** What the set has below a field. */
  below(element: PathElement): FieldSet {
    return this.#children.get(element) ?? NONE
  }

  /** Every field, by its way, parents first. */
  *paths(): IterableIterator<Path> {
    for (const element of this.ordered()) {
      if (this.has(element)) yield [element]
      for (const rest of this.below(element).paths()) yield [element, ...rest]
    }
  }

  /** Fields that are in either. */
  union(other: FieldSet): FieldSet {
    return this.#combine(other, (here, there) => here || there)
  }

  /** Fields that are in both. */
  intersection(other: FieldSet): FieldSet {
    return this.#combine(other, (here, there) => here && there)
  }

  /** Fields of this set that the other does not have; what is above or below one of the other's stays. */
  difference(other: FieldSet): FieldSet {
    return this.#combine(other, (here, there) => here && !there)
  }

  /** Whether both have the same fields. */
  equals(other: FieldSet): boolean {
    return this.#combine(other, (here, there) => here !== there).empty
  }

  #insert(path: Path, depth: number): void {
    const element = path[depth]!
    if (depth === path.length - 1) {
      this.#members.add(element)
      return
    }
    let child = this.#children.get(element)
    if (!child) this.#children.set(element, (child = new FieldSet()))
    child.#insert(path, depth + 1)
  }

  #combine(other: FieldSet, keep: (here: boolean, there: boolean) => boolean): FieldSet {
    const result = new FieldSet()
    for (const element of this.#members)
      if (keep(true, other.#members.has(element))) result.#members.add(element)
    for (const element of other.#members)
      if (!this.#members.has(element) && keep(false, true)) result.#members.add(element)
    const combineBelow = (element: PathElement): void => {
      const below = this.below(element).#combine(other.below(element), keep)
      if (!below.empty) result.#children.set(element, below)
    }
    for (const element of this.#children.keys()) combineBelow(element)
    for (const element of other.#children.keys()) if (!this.#children.has(element)) combineBelow(element)
    return result
  }
}

const NONE = new FieldSet()
