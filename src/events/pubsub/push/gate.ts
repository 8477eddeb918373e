import { backoffWait } from '../../../core/backoff.js'
import type { Clock, Timer } from '../../../core/clock.js'
import type { Random } from '../../../core/random.js'
import { Fifo } from '../lanes/fifo.js'

const PAUSES = { base: 1000, factor: 2, max: 30_000 }
/** An endpoint that asks for less is left alone for so long. */
const LEAST_PAUSE_MS = 100

/** A turn to send one request; what came of it is to be said once. */
export interface Turn {
  /** The endpoint has answered for itself. */
  reached(): void
  /**
   * The endpoint is not there, or wants no more for now.
   *
   * @param after - ms that it has asked for
   */
  unavailable(after: number | undefined): void
  /** Nothing was sent. */
  unused(): void
}

interface Waiting {
  enter: ((turn: Turn) => void) | undefined
}

/**
 * Stands before an endpoint. While it is not there nothing is sent to it but one request now and then, of those that wait
 * each in turn; with the first that reaches it all go on.
 */
export class Gate {
  readonly #clock: Clock
  readonly #random: Random
  readonly #onChange: (isOpen: boolean) => void
  readonly #waiting = new Fifo<Waiting>()
  #isOpen = true
  /** Pauses one after the other. */
  #pauses = 0
  #timer: Timer | undefined
  /** One may try. */
  #isTrialDue = false

  constructor(clock: Clock, random: Random, onChange: (isOpen: boolean) => void) {
    this.#clock = clock
    this.#random = random
    this.#onChange = onChange
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** A turn at once, if the gate is open. */
  turn(): Turn | undefined {
    return this.#isOpen ? this.#turn(false) : undefined
  }

  /** @returns undefined if the signal aborts first */
  enter(signal: AbortSignal): Promise<Turn | undefined> {
    return new Promise((resolve) => {
      const waiting: Waiting = {
        enter: (turn) => {
          signal.removeEventListener('abort', onAbort)
          resolve(turn)
        },
      }
      const onAbort = (): void => {
        waiting.enter = undefined
        resolve(undefined)
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(waiting)
      this.#try()
    })
  }

  close(): void {
    this.#timer?.cancel()
  }

  #turn(isTrial: boolean): Turn {
    return {
      reached: () => this.#open(),
      unavailable: (after) => {
        // Others that were under way have found out the same.
        if (this.#isOpen || isTrial) this.#pause(after)
      },
      unused: () => {
        if (!isTrial || this.#isOpen) return
        this.#isTrialDue = true
        this.#try()
      },
    }
  }

  #open(): void {
    if (this.#isOpen) return
    this.#timer?.cancel()
    this.#isOpen = true
    this.#pauses = 0
    this.#onChange(true)
    while (this.#waiting.length > 0) this.#waiting.shift()!.enter?.(this.#turn(false))
  }

  #pause(after: number | undefined): void {
    const was = this.#isOpen
    this.#isOpen = false
    this.#isTrialDue = false
    this.#pauses++
    // By chance, so that many that wait for one endpoint do not come together.
    const wait =
      after === undefined
        ? backoffWait(PAUSES, this.#pauses, 'equal', this.#random)
        : Math.max(LEAST_PAUSE_MS, after)
    this.#timer?.cancel()
    this.#timer = this.#clock.schedule(this.#clock.now() + wait, () => {
      this.#isTrialDue = true
      this.#try()
    })
    if (was) this.#onChange(false)
  }

  /** Lets the first that waits try, if it is time. */
  #try(): void {
    while (this.#isTrialDue && this.#waiting.length > 0) {
      const { enter } = this.#waiting.shift()!
      if (!enter) continue
      this.#isTrialDue = false
      enter(this.#turn(true))
    }
  }
}
