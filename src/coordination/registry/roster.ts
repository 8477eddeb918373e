import type { Instance } from './instance.js'

/** Instances that vanish within this time of each other have vanished together, in ms. */
const TOGETHER = 2000

/** When to doubt the registry. */
export interface Doubt {
  /** If several vanish together and less than this share is left, they are not believed to be gone. */
  readonly below: number
  /** How long those that vanished are kept, in ms. */
  readonly keep: number
}

/** What has become of an instance: it came, went, or is another than before. */
export interface RosterChange {
  readonly before: Instance | undefined
  readonly after: Instance | undefined
}

interface Vanished {
  readonly instance: Instance
  readonly at: number
}

/**
 * Which instances are believed to be there. The registry is right about those that come, that change, and that go after they
 * were draining. An instance that goes without that has *vanished*: it is gone at once, unless it looks as if the registry
 * had lost it. That is so while the engine is away and for a time after that; and if several vanish together and fewer than a
 * share of all would be left. Those are kept then, as doubted, until they come back or the time is over. (Eureka calls this
 * self-preservation.)
 */
export class Roster {
  readonly #doubt: Doubt | undefined
  readonly #instances = new Map<string, Instance>()
  readonly #doubted = new Map<string, Vanished>()
  /** Those that vanished a short time ago, believed or not. */
  readonly #vanished = new Map<string, Vanished>()
  /** Whether the engine is away; since when and until when the registry may be wrong because of that. */
  #isAway = false
  #suspectFrom = -Infinity
  #suspectUntil = -Infinity

  /** @param doubt - undefined believes everything */
  constructor(doubt: Doubt | undefined) {
    this.#doubt = doubt
  }

  /** By id, with those that are doubted. */
  get instances(): ReadonlyMap<string, Instance> {
    return this.#instances
  }

  /** How many are doubted. */
  get doubted(): number {
    return this.#doubted.size
  }

  /** When {@link settle} has something to do, unless something happens before; Infinity for never. */
  get nextAt(): number {
    if (this.#isAway) return Infinity
    let next = Infinity
    for (const { at } of this.#doubted.values()) next = Math.min(next, this.#keptUntil(at))
    return next
  }

  /**
   * The engine does not answer.
   *
   * @param now - on the monotonic clock, in ms
   */
  away(now: number): void {
    this.#isAway = true
    this.#suspectFrom = now - TOGETHER
  }

  /** It does again. */
  back(now: number): void {
    if (!this.#isAway) return
    this.#isAway = false
    if (this.#doubt) this.#suspectUntil = now + this.#doubt.keep
  }

  /** Takes changes of the registry, of one revision or of a time in which it could not be seen. */
  apply(present: readonly Instance[], gone: readonly string[], now: number): readonly RosterChange[] {
    const changes = new Map<string, RosterChange>()
    for (const instance of present) {
      const { id } = instance
      changes.set(id, { before: this.#instances.get(id), after: instance })
      this.#instances.set(id, instance)
      this.#doubted.delete(id)
      this.#vanished.delete(id)
    }
    for (const id of gone) {
      const before = this.#instances.get(id)
      if (!before || before.doubted) continue
      this.#instances.delete(id)
      changes.set(id, { before, after: undefined })
      if (this.#doubt && !before.draining) this.#vanished.set(id, { instance: before, at: now })
    }
    if (this.#doubt && gone.length > 0) this.#doubtVanished(this.#doubt, changes, now)
    return [...changes.values()]
  }

  /** Believes that those are gone whose time is over. */
  settle(now: number): readonly RosterChange[] {
    const changes: RosterChange[] = []
    if (this.#isAway) return changes
    for (const [id, { instance, at }] of this.#doubted) {
      if (now < this.#keptUntil(at)) continue
      this.#doubted.delete(id)
      this.#instances.delete(id)
      changes.push({ before: instance, after: undefined })
    }
    return changes
  }

  #doubtVanished({ below }: Doubt, changes: Map<string, RosterChange>, now: number): void {
    const isSuspect = this.#isAway || now < this.#suspectUntil
    const from = isSuspect ? this.#suspectFrom : now - TOGETHER
    for (const [id, { at }] of this.#vanished) if (at < from) this.#vanished.delete(id)
    if (!isSuspect) {
      const left = this.#instances.size - this.#doubted.size
      const all = this.#instances.size + this.#vanished.size
      if (this.#vanished.size + this.#doubted.size < 2 || left >= below * all) return
    }
    for (const [id, { instance, at }] of this.#vanished) {
      const kept: Instance = { ...instance, doubted: true }
      this.#doubted.set(id, { instance: kept, at })
      this.#instances.set(id, kept)
      changes.set(id, { before: changes.get(id)?.before, after: kept })
    }
    this.#vanished.clear()
  }

  #keptUntil(vanishedAt: number): number {
    return Math.max(vanishedAt + (this.#doubt?.keep ?? 0), this.#suspectUntil)
  }
}
