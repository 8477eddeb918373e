import type { Clock, Timer } from '../../core/clock.js'
import type { News } from './listener.js'

/** The first pause between two looks after news. */
const FIRST_MS = 10
/** Pause between two looks while notifications arrive, in ms: a net below them. */
const NET_MS = 5000
/** How often looking may find what no notification has told before that counts as deafness. */
const DEAF = 2

/** What tells a watcher of news, besides its own looking. */
export interface Ear {
  readonly hears: boolean
  start(): void
  renew(): void
}

/**
 * Wakes followers. The truth is found by looking at the head of the log; notifications, and what this process appends
 * itself, only say when to. News that come before somebody waits are kept, so none is missed.
 */
export class Watcher implements News {
  readonly #look: () => Promise<number>
  readonly #longest: number
  readonly #clock: Clock
  #ear: Ear | undefined
  #head = 0
  readonly #waiting = new Set<{ position: number; wake: () => void }>()
  #timer: Timer | undefined
  #pause = FIRST_MS
  #looking = false
  #again = false
  #unheard = 0
  /** Something happened that nobody has looked at. */
  #stale = false
  #closed = false

  /**
   * @param look - where the log ends now
   * @param longest - pause between two looks when nothing happens, in ms
   */
  constructor(look: () => Promise<number>, longest: number, clock: Clock) {
    this.#look = look
    this.#longest = longest
    this.#clock = clock
  }

  listenWith(ear: Ear): void {
    this.#ear = ear
  }

  /** See `LogDriver.changed`. */
  changed(position: number, signal: AbortSignal): Promise<void> {
    if (this.#head > position || signal.aborted || this.#closed) return Promise.resolve()
    this.#ear?.start()
    return new Promise((resolve) => {
      const waiter = {
        position,
        wake: () => {
          this.#waiting.delete(waiter)
          signal.removeEventListener('abort', waiter.wake)
          if (this.#waiting.size === 0) this.#stop()
          resolve()
        },
      }
      this.#waiting.add(waiter)
      signal.addEventListener('abort', waiter.wake, { once: true })
      if (this.#stale) void this.#lookNow()
      else this.#schedule()
    })
  }

  /** This process has appended up to here. */
  appended(position: number): void {
    this.#know(position)
  }

  head(position: number): void {
    this.#unheard = 0
    this.#know(position)
  }

  something(): void {
    this.#unheard = 0
    if (this.#waiting.size > 0) void this.#lookNow()
    else this.#stale = true
  }

  close(): void {
    this.#closed = true
    for (const { wake } of [...this.#waiting]) wake()
    this.#stop()
  }

  #know(position: number): boolean {
    if (position <= this.#head) return false
    this.#head = position
    this.#pause = FIRST_MS
    for (const waiter of [...this.#waiting]) if (waiter.position < position) waiter.wake()
    return true
  }

  async #lookNow(): Promise<void> {
    // One look at a time; what happens during it is seen by the next.
    if (this.#looking) {
      this.#again = true
      return
    }
    this.#looking = true
    this.#stale = false
    this.#stop()
    try {
      const news = this.#know(await this.#look())
      this.#pause = news ? FIRST_MS : Math.min(this.#pause * 2, this.#longest)
      if (news && this.#ear?.hears && ++this.#unheard >= DEAF) this.#ear.renew()
    } catch {
      // It cannot be reached. Whoever waits, waits until it can.
      this.#pause = this.#longest
    }
    this.#looking = false
    const again = this.#again
    this.#again = false
    if (again) await this.#lookNow()
    else this.#schedule()
  }

  #schedule(): void {
    if (this.#timer || this.#looking || this.#closed || this.#waiting.size === 0) return
    const pause = this.#ear?.hears ? Math.max(NET_MS, this.#longest) : this.#pause
    this.#timer = this.#clock.schedule(this.#clock.now() + pause, () => {
      this.#timer = undefined
      void this.#lookNow()
    })
  }

  #stop(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}
