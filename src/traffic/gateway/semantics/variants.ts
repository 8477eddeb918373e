import type { Fields } from '../../http/fields.js'

/** Reads a field of a request as the service got it, by its name in lower case. */
export type Sent = (lower: string) => string | undefined

/** Variants kept for one resource: a field that is different in every request must not fill the memory. */
const MOST = 64

/**
 * The fields of the request that an answer depends on.
 *
 * @returns names in lower case; `undefined` if it depends on what cannot be told (`*`)
 */
export function selectingFields(answer: Fields): readonly string[] | undefined {
  const vary = answer.get('vary')
  if (vary === undefined) return []
  const names = vary
    .split(',')
    .map((name) => name.trim().toLowerCase())
    .filter((name) => name !== '')
  return names.includes('*') ? undefined : [...new Set(names)].sort()
}

/** What a request says in those fields; requests that say the same get the same answer (RFC 9111 4.1). */
function selection(names: readonly string[], sent: Sent): string {
  return JSON.stringify(names.map((name) => normalised(name, sent(name)) ?? null))
}

/** White space means nothing in these fields, nor does the order of what a client accepts with equal weight. */
function normalised(name: string, value: string | undefined): string | undefined {
  if (value === undefined) return undefined
  const members = value.split(',').map((member) => member.trim().replace(/[ \t]+/g, ' '))
  return (name === 'accept-encoding' ? members.map((each) => each.toLowerCase()).sort() : members).join(',')
}

interface Variant<T> {
  readonly names: readonly string[]
  readonly selection: string
  value: T
}

/** The answers of one resource, told apart by the fields that each of them depends on. */
export class Variants<T> {
  /** The one put last is the first. */
  #variants: Variant<T>[] = []

  get size(): number {
    return this.#variants.length
  }

  /** The answer for such a request; the newest one if several would do. */
  find(sent: Sent): T | undefined {
    for (const { names, selection: wanted, value } of this.#variants)
      if (selection(names, sent) === wanted) return value
    return undefined
  }

  /**
   * Puts an answer in, in place of the one for the same selection.
   *
   * @param names - what it depends on; see {@link selectingFields}
   * @returns the answers that it took the place of
   */
  put(names: readonly string[], sent: Sent, value: T): T[] {
    const own = selection(names, sent)
    const gone = this.#variants.filter((each) => each.selection === own && sameNames(each.names, names))
    const kept = this.#variants.filter((each) => !gone.includes(each))
    if (kept.length >= MOST) gone.push(...kept.splice(MOST - 1))
    this.#variants = [{ names, selection: own, value }, ...kept]
    return gone.map((each) => each.value)
  }

  /** What a request says in all the fields that any of the answers depends on. */
  selectionOf(sent: Sent): string {
    const names = new Set(this.#variants.flatMap((each) => each.names))
    return names.size === 0 ? '' : selection([...names].sort(), sent)
  }

  /** @returns whether it was there */
  delete(value: T): boolean {
    const { length } = this.#variants
    this.#variants = this.#variants.filter((each) => each.value !== value)
    return this.#variants.length < length
  }
}

function sameNames(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, index) => name === b[index])
}
