import { Heap, type Placed } from './heap.js'

/**
 * Where a key is that waits. `delayed`: its time has not come. `ready`: for whoever takes it. `held`: its time has come, and it is
 * still being worked on.
 */
type Stage = 'delayed' | 'ready' | 'held'

/** A key that waits; there is one for each at most. */
class Pending implements Placed {
  readonly key: string
  priority: number
  /** When it may be taken, or since when. */
  due: number
  stage: Stage = 'delayed'
  /** Among the ready: whose is less comes first. */
  rank = 0
  /** Decides between those that are equal otherwise. */
  sequence = 0
  place = -1

  constructor(key: string, due: number, priority: number) {
    this.key = key
    this.due = due
    this.priority = priority
  }
}

/**
 * What waits, in the order in which it is to be taken. Knows no clock: its owner tells it what time it is.
 *
 * A point of priority counts like having come `ageing` ms earlier. The order of two keys is the same for ever then, however they age,
 * so that a heap can keep it; and a key waits at most for what came before it or so much after it.
 */
export class Backlog {
  readonly #ageing: number
  readonly #working: ReadonlyMap<string, unknown>
  readonly #pending = new Map<string, Pending>()
  readonly #delayed = new Heap<Pending>(
    (one, other) => one.due < other.due || (one.due === other.due && one.sequence < other.sequence),
  )
  readonly #ready = new Heap<Pending>(
    (one, other) => one.rank < other.rank || (one.rank === other.rank && one.sequence < other.sequence),
  )
  #held = 0
  #sequence = 0

  /** @param working - the keys that are being worked on */
  constructor(ageing: number, working: ReadonlyMap<string, unknown>) {
    this.#ageing = ageing
    this.#working = working
  }

  /** How many would be taken if there were workers enough, at once or when they are not worked on any more. */
  get depth(): number {
    return this.#ready.size + this.#held
  }

  get delayed(): number {
    return this.#delayed.size
  }

  /** When the next of the delayed is due. */
  get nextDue(): number | undefined {
    return this.#delayed.peek()?.due
  }

  /**
   * A key that waits already is not added again: the earlier time and the higher priority are kept.
   *
   * @returns whether its time has come by this
   */
  add(key: string, due: number, priority: number, now: number): boolean {
    const pending = this.#pending.get(key)
    if (!pending) {
      const added = new Pending(key, due, priority)
      this.#pending.set(key, added)
      if (due <= now) this.#come(added)
      else this.#delay(added)
      return due <= now
    }
    const isHigher = priority > pending.priority
    if (isHigher) pending.priority = priority
    if (pending.stage === 'delayed') {
      if (due >= pending.due) return false
      pending.due = due
      if (due <= now) {
        this.#delayed.remove(pending)
        this.#come(pending)
        return true
      }
      pending.sequence = ++this.#sequence
      this.#delayed.advance(pending)
    } else if (pending.stage === 'ready' && isHigher) {
      pending.rank = this.#rankOf(pending)
      this.#ready.advance(pending)
    }
    return false
  }

  /** @returns for how many the time has come */
  promote(now: number): number {
    let count = 0
    for (let next = this.#delayed.peek(); next && next.due <= now; next = this.#delayed.peek()) {
      this.#delayed.shift()
      this.#come(next)
      count++
    }
    return count
  }

  take(): Pending | undefined {
    const next = this.#ready.shift()
    if (next) this.#pending.delete(next.key)
    return next
  }

  /** A key is not worked on any more. */
  release(key: string): void {
    const pending = this.#pending.get(key)
    if (pending?.stage !== 'held') return
    this.#held--
    this.#queue(pending)
  }

  dropDelayed(): void {
    for (let next = this.#delayed.shift(); next; next = this.#delayed.shift()) this.#pending.delete(next.key)
  }

  drop(): void {
    this.#delayed.clear()
    this.#ready.clear()
    this.#held = 0
    this.#pending.clear()
  }

  #delay(pending: Pending): void {
    pending.sequence = ++this.#sequence
    this.#delayed.push(pending)
  }

  /** Its time has come: what comes later is behind it, also if it has to wait for who works on it. */
  #come(pending: Pending): void {
    pending.sequence = ++this.#sequence
    if (!this.#working.has(pending.key)) {
      this.#queue(pending)
      return
    }
    pending.stage = 'held'
    this.#held++
  }

  #queue(pending: Pending): void {
    pending.stage = 'ready'
    pending.rank = this.#rankOf(pending)
    this.#ready.push(pending)
  }

  #rankOf({ due, priority }: Pending): number {
    return due - priority * this.#ageing
  }
}
