import type { Clock } from '../../../core/clock.js'

/** Who takes part. */
export interface Isolated {
  /** Something has changed: it may be its turn, or nobody wants to be alone any more. */
  awake(): void
}

/**
 * Lets one message be handled while no other one is, of no subscription of this process: should the process end then, it
 * was that one. Whoever wants to be alone waits for what is being handled; meanwhile nothing else is begun.
 */
export class Isolation {
  readonly #all = new Set<Isolated>()
  /** The first has the turn, as soon as nothing is being handled. */
  readonly #queue: Isolated[] = []
  #handled = 0

  /** That of a process: its clock is its own, also where a process is simulated. */
  static of(clock: Clock): Isolation {
    let isolation = processes.get(clock)
    if (!isolation) processes.set(clock, (isolation = new Isolation()))
    return isolation
  }

  join(who: Isolated): void {
    this.#all.add(who)
  }

  leave(who: Isolated): void {
    this.#all.delete(who)
    this.yield(who)
  }

  /** The handling of a message begins. */
  begin(): void {
    this.#handled++
  }

  end(): void {
    if (--this.#handled === 0) this.#queue[0]?.awake()
  }

  /** Somebody is alone, or wants to be. */
  get isWanted(): boolean {
    return this.#queue.length > 0
  }

  want(who: Isolated): void {
    if (!this.#queue.includes(who)) this.#queue.push(who)
  }

  /** Whether it is alone now. */
  hasTurn(who: Isolated): boolean {
    return this.#queue[0] === who && this.#handled === 0
  }

  wants(who: Isolated): boolean {
    return this.#queue.includes(who)
  }

  /** It does not want to be alone any more. */
  yield(who: Isolated): void {
    const place = this.#queue.indexOf(who)
    if (place === -1) return
    this.#queue.splice(place, 1)
    if (this.#queue.length > 0) this.#queue[0]!.awake()
    else for (const each of this.#all) each.awake()
  }
}

const processes = new WeakMap<Clock, Isolation>()
