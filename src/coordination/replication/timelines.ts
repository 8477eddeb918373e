import type { Ancestor } from './node.js'
import type { Place } from './token.js'

/**
 * What is known of how timelines have come from each other. What is not known is taken for lost: an end that is too low makes
 * that something is refused which was good, one that is too high would hide a loss.
 */
export class Timelines {
  readonly #ends = new Map<number, Map<number, bigint>>()
  /** Who was seen to lead, by timeline. */
  readonly #leaders = new Map<number, string>()
  /** Timelines that two have begun, apart from each other, by who: their positions mean nothing. */
  readonly #forked = new Map<number, readonly [string, string]>()

  /**
   * Takes in that a timeline has what an older one has, up to some position at least.
   */
  learn(timeline: number, { timeline: ancestor, end }: Ancestor): void {
    if (ancestor >= timeline || this.#forked.has(timeline) || this.#forked.has(ancestor)) return
    const ends = this.#ends.get(timeline) ?? new Map<number, bigint>()
    this.#ends.set(timeline, ends)
    const known = ends.get(ancestor)
    if (known === undefined || known < end) ends.set(ancestor, end)
    // And so of what that one has of others.
    for (const [older, olderEnd] of this.#ends.get(ancestor) ?? [])
      this.learn(timeline, { timeline: older, end: olderEnd < end ? olderEnd : end })
  }

  /**
   * Takes in who leads a timeline. A timeline has one leader: with a second one there are two histories of one number, and what is
   * known may be of either.
   *
   * @returns whether that is news, and what servers have told of newer ones is to be asked again
   */
  ledBy(timeline: number, node: string): boolean {
    const known = this.#leaders.get(timeline)
    if (known === undefined) this.#leaders.set(timeline, node)
    if (known === undefined || known === node || this.#forked.has(timeline)) return false
    this.#forked.set(timeline, [known, node])
    this.#ends.delete(timeline)
    // What has come from it was derived from what was known of it.
    for (const [newer, ends] of this.#ends) if (ends.has(timeline)) this.#ends.delete(newer)
    return true
  }

  /** By whom a timeline was begun, if that was done twice. */
  forkOf(timeline: number): readonly [string, string] | undefined {
    return this.#forked.get(timeline)
  }

  /** Up to where a timeline has surely what an older one has; undefined if nothing is known. */
  shared(timeline: number, ancestor: number): bigint | undefined {
    return this.#ends.get(timeline)?.get(ancestor)
  }

  /** What is known of the ancestors of a timeline. */
  ancestors(timeline: number): Ancestor[] {
    return Array.from(this.#ends.get(timeline) ?? [], ([ancestor, end]) => ({ timeline: ancestor, end }))
  }

  /** Whether a place is surely in the history of a timeline. */
  has(timeline: number, place: Pick<Place, 'timeline' | 'position'>): boolean {
    if (place.timeline === timeline) return !this.#forked.has(timeline)
    const end = this.shared(timeline, place.timeline)
    return end !== undefined && place.position <= end
  }
}
