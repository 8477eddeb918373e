/**
 * A hierarchical timing wheel (Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987): adding and
 * cancelling a timer costs the same however many wait, which suits timeouts, nearly all of which are cancelled.
 *
 * Six levels of 32 slots; a slot of level n spans 32^n ticks. A timer sits at the level of the highest digit
 * (base 32) in which its due tick differs from the wheel's, and moves down as the wheel comes near. A bitmap per
 * level finds the next occupied slot without walking the empty ones.
 */
const SLOT_BITS = 5
const SLOTS = 1 << SLOT_BITS
const SLOT_MASK = SLOTS - 1
const LEVELS = 6
const TOP = LEVELS - 1

/** Values of `WheelTimer.slot` outside the wheel. */
const IDLE = -1
const FIRING = -2

/** One waiting callback; a member of the doubly linked list of its slot. */
export class WheelTimer {
  readonly callback: () => void
  readonly due: number
  slot = IDLE
  previous: WheelTimer | undefined = undefined
  next: WheelTimer | undefined = undefined

  constructor(due: number, callback: () => void) {
    this.due = due
    this.callback = callback
  }
}

/** Timers ordered by integer ticks. Knows no clock: its owner tells it how far time has come. */
export class TimerWheel {
  /** How many timers wait. */
  size = 0
  #now: number
  readonly #slots: (WheelTimer | undefined)[] = new Array<WheelTimer | undefined>(LEVELS * SLOTS).fill(
    undefined,
  )
  readonly #occupied = new Int32Array(LEVELS)

  constructor(now = 0) {
    this.#now = now
  }

  /** Adds a timer. One that is already due fires at the next tick, so a callback can never starve the wheel. */
  add(timer: WheelTimer): void {
    this.size++
    this.#place(timer)
  }

  /** Takes a timer out; false if it has fired or was cancelled before. */
  remove(timer: WheelTimer): boolean {
    const { slot, previous, next } = timer
    if (slot === IDLE) return false
    timer.slot = IDLE
    this.size--
    if (slot === FIRING) return true
    if (previous) previous.next = next
    else this.#slots[slot] = next
    if (next) next.previous = previous
    if (!previous && !next) this.#occupied[slot >> SLOT_BITS]! &= ~(1 << (slot & SLOT_MASK))
    timer.previous = timer.next = undefined
    return true
  }

  /**
   * The tick of the next occupied slot, at or before the next due timer; `undefined` if nothing waits. At this
   * tick timers are due or move down a level.
   */
  nextTick(): number | undefined {
    for (let level = 0; level < LEVELS; level++) {
      const occupied = this.#occupied[level]!
      if (occupied === 0) continue
      const shift = level * SLOT_BITS
      const digit = (this.#now >>> shift) & SLOT_MASK
      // Rotate so that bit 0 is the wheel's own digit, then count to the first occupied slot after it.
      const ahead = digit === 0 ? occupied : (occupied >>> digit) | (occupied << (SLOTS - digit))
      const later = ahead & ~1
      // The own slot is reached a full turn later. Only the top level has timers so far away.
      const distance = later === 0 ? SLOTS : 31 - Math.clz32(later & -later)
      const span = 2 ** shift
      return (Math.floor(this.#now / span) + distance) * span
    }
    return undefined
  }

  /**
   * Moves time to `tick` and fires everything due by then, in order of the due tick, and within one in the order it
   * was added. If a callback throws, time stops at its tick, and what else is due fires with the next call.
   */
  advance(tick: number): void {
    for (let next = this.nextTick(); next !== undefined && next <= tick; next = this.nextTick()) {
      this.#now = next
      this.#empty(next)
    }
    if (tick > this.#now) this.#now = tick
  }

  /** Fires or moves down every timer of the slots that begin at `tick`, from the top level to the lowest. */
  #empty(tick: number): void {
    const due: WheelTimer[] = []
    for (let level = TOP; level >= 0; level--) {
      const slot = level * SLOTS + ((tick >>> (level * SLOT_BITS)) & SLOT_MASK)
      if (level > 0 && tick % 2 ** (level * SLOT_BITS) !== 0) continue
      let timer = this.#slots[slot]
      if (!timer) continue
      this.#slots[slot] = undefined
      this.#occupied[level]! &= ~(1 << (slot & SLOT_MASK))
      // Lists are built newest first; from their end timers keep the order in which they were added.
      while (timer.next) timer = timer.next
      while (timer) {
        const younger: WheelTimer | undefined = timer.previous
        timer.previous = timer.next = undefined
        if (timer.due <= tick) {
          timer.slot = FIRING
          due.push(timer)
        } else {
          this.#place(timer)
        }
        timer = younger
      }
    }
    let index = 0
    try {
      while (index < due.length) {
        const timer = due[index++]!
        // An earlier callback of this very tick may have cancelled it.
        if (this.remove(timer)) timer.callback()
      }
    } finally {
      for (; index < due.length; index++) if (due[index]!.slot === FIRING) this.#place(due[index]!)
    }
  }

  #place(timer: WheelTimer): void {
    const now = this.#now
    const due = timer.due > now ? timer.due : now + 1
    // Only the low 30 bits decide, so shifts on ticks above 2^32 stay right.
    const difference = due - now >= 2 ** 30 ? -1 : (due ^ now) | 0
    const level = Math.min(TOP, Math.floor((31 - Math.clz32(difference | 1)) / SLOT_BITS))
    const slot = level * SLOTS + ((due >>> (level * SLOT_BITS)) & SLOT_MASK)
    const head = this.#slots[slot]
    timer.slot = slot
    timer.next = head
    if (head) head.previous = timer
    this.#slots[slot] = timer
    this.#occupied[level]! |= 1 << (slot & SLOT_MASK)
  }
}
