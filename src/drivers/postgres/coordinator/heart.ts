import type { Clock, Timer } from '../../../core/clock.js'
import type { Connections } from '../connections.js'

/** Pause after a beat that failed, and the longest one, in ms. */
const LONGEST_MS = 1000
/** How many changes a slice of compaction removes. */
const SLICE = 5000

/** What `beat` answers; see there. */
type Answer = [
  mark: string,
  revision: number,
  period: number,
  more: boolean,
  compactable: boolean,
  absent: boolean,
  made: boolean,
]

/** A mark that this process has made. */
interface OwnMark {
  readonly mark: string
  /** How many ms it is at most since it was made. */
  readonly age: number
}

/**
 * Beats: says now and then that time goes by, and how much, which is what leases end by. Every process that is connected
 * does, so there is none that others depend on; of those that come at about the same time only one is counted.
 */
export class Heart {
  readonly #connections: Connections
  readonly #schema: string
  readonly #clock: Clock
  readonly #known: () => number
  readonly #told: (revision: number) => void
  #mark: string | undefined
  /** When it has heard of the mark, which was made before. */
  #since = 0
  /** The last mark that it has made, and when that call was sent: it is no older. */
  #own: { mark: string; sent: number; wall: number } | undefined
  #period = LONGEST_MS
  #timer: Timer | undefined
  #nextAt = Infinity
  #beating = false
  #closed = false

  /**
   * @param known - the last revision that this process has heard of
   * @param told - is told of the last revision with each beat
   */
  constructor(
    connections: Connections,
    schema: string,
    clock: Clock,
    known: () => number,
    told: (revision: number) => void,
  ) {
    this.#connections = connections
    this.#schema = `"${schema}"`
    this.#clock = clock
    this.#known = known
    this.#told = told
  }

  /**
   * Beats once.
   *
   * @param alone - whether the time in which nobody was connected counts, as the clock of the server has it
   * @returns whether nobody seems to have been connected before
   */
  async beat(alone = false): Promise<boolean> {
    // What it waits for a connection is not counted, nor is the way of the answer: less than has passed is never too much.
    const sent = this.#clock.now()
    const wall = this.#clock.wall()
    const passed = Math.max(0, Math.floor(sent - this.#since))
    const [[answer] = []] = await this.#connections.readOnce(`SELECT ${this.#schema}.beat($1, $2, $3, $4)`, [
      this.#mark ?? null,
      this.#mark === undefined ? 0 : passed,
      this.#known(),
      alone,
    ])
    const [mark, revision, period, more, compactable, absent, made] = JSON.parse(answer!) as Answer
    if (mark !== this.#mark) {
      this.#mark = mark
      this.#since = this.#clock.now()
    }
    if (made) this.#own = { mark, sent, wall }
    this.#period = more ? 0 : period
    this.#told(revision)
    if (compactable && !this.#closed) await this.#compact()
    return absent
  }

  /** Beats from now on. */
  start(): void {
    this.#schedule(this.#period)
  }

  /** There is a lease of this time, in ms: a short one ends by shorter steps. */
  hasten(ttl: number): void {
    this.#schedule(Math.min(this.#period, ttl / 10))
  }

  /**
   * The last mark that this process has made: whoever stamps a lease while it is the newest knows by it how far the clock can
   * have come. Of one that another process has made nobody here knows how old it is.
   */
  get own(): OwnMark | undefined {
    if (!this.#own) return undefined
    const { mark, sent, wall } = this.#own
    // The monotonic clock of Linux stands still while the machine is suspended. Too much is never unsafe.
    return { mark, age: Math.ceil(Math.max(this.#clock.now() - sent, this.#clock.wall() - wall)) }
  }

  close(): void {
    this.#closed = true
    this.#timer?.cancel()
  }

  #schedule(pause: number): void {
    const at = this.#clock.now() + pause
    if (this.#closed || this.#beating || at >= this.#nextAt) return
    this.#timer?.cancel()
    this.#nextAt = at
    this.#timer = this.#clock.schedule(at, () => {
      this.#nextAt = Infinity
      this.#beating = true
      void this.beat()
        // While it cannot be reached no time goes by.
        .catch(() => (this.#period = LONGEST_MS))
        .finally(() => {
          this.#beating = false
          this.#schedule(this.#period)
        })
    })
  }

  async #compact(): Promise<void> {
    const [[removed] = []] = await this.#connections.readOnce(`SELECT ${this.#schema}.compact($1)`, [SLICE])
    if (Number(removed) >= SLICE) this.#period = 0
  }
}
