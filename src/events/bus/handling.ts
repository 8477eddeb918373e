import type { Clock, Timer } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { eventError } from '../errors.js'
import type { RecordedEvent } from '../log.js'
import type { HandlerContext } from '../pubsub/message.js'

/** Who is told what became of it. */
interface Owner {
  readonly name: string
  readonly clock: Clock
  /** ms */
  readonly deadline: number
  /** @param error - undefined if it was handled */
  ended(handling: Handling, error: unknown): void
}

/** The one try of one event. It ends once: what comes later does not count. */
export class Handling implements HandlerContext {
  readonly event: RecordedEvent
  readonly key: string | undefined
  readonly attempt = 1
  readonly #owner: Owner
  #abort: AbortController | undefined
  #timer: Timer | undefined
  #ending: string | undefined

  constructor(owner: Owner, event: RecordedEvent, key: string | undefined) {
    this.#owner = owner
    this.event = event
    this.key = key
    this.#startTimer(owner.deadline)
  }

  get subscription(): string {
    return this.#owner.name
  }

  /** Made when somebody asks: most handlers do not. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController()
    if (this.#ending !== undefined) this.#abort.abort(endedAs(this.#ending))
    return this.#abort.signal
  }

  extend(time?: Duration): void {
    if (this.#ending !== undefined) throw endedAs(this.#ending)
    this.#startTimer(time === undefined ? this.#owner.deadline : duration(time, 'extend'))
  }

  /**
   * Ends it, if it has not ended.
   *
   * @param how - for whoever still works on it
   * @param error - why it was not handled
   */
  end(how: string, error?: unknown): void {
    if (this.#ending !== undefined) return
    this.#ending = how
    this.#timer?.cancel()
    this.#abort?.abort(endedAs(how))
    this.#owner.ended(this, error)
  }

  #startTimer(ms: number): void {
    const { clock } = this.#owner
    this.#timer?.cancel()
    this.#timer = clock.schedule(clock.now() + ms, () =>
      this.end('its deadline has passed', endedAs(`it was not handled within ${ms} ms`)),
    )
  }
}

function endedAs(how: string): Error {
  return eventError(
    'BANYAN_DELIVERY_ENDED',
    `this delivery has ended, as ${how}; what comes of it now does not count`,
  )
}
