import type { EventLog, Position, Recorded } from '../log.js'
import { START } from '../position.js'
import { readSaga } from './journal.js'
import { categoryOf, holdOf, idOf } from './names.js'
import type { EventPlace, SagaEvent, Started } from './records.js'

/** The hold is moved at the latest when so many more sagas have been found to be at their end. */
const STEP = 1000

/**
 * Keeps what sagas need that are not at their end from being truncated with the rest of a log: everything from the start of
 * the oldest of them on, its timers too; for a reaction, from the event that it follows from. Sagas are looked at in the order in which they were started, each until it has ended,
 * and the first that has not is where it stays: a look costs as much as has ended since the one before, however many sleep.
 *
 * Several processes may do so for one log: whoever has seen less only keeps more.
 */
export class SagaHold {
  readonly #log: EventLog
  readonly #saga: string
  /** All that were started up to here have ended. */
  #after: Position
  /** Where it stands. */
  #held: Position

  private constructor(log: EventLog, saga: string, held: Position) {
    this.#log = log
    this.#saga = saga
    this.#after = held
    this.#held = held
  }

  /** Goes on with the hold for the sagas of a name; where there is none, it keeps everything at first. */
  static async place(log: EventLog, saga: string): Promise<SagaHold> {
    const name = holdOf(saga)
    const found = (await log.stats()).holds.find((each) => each.name === name)
    if (!found) await log.hold(name, START)
    return new SagaHold(log, saga, found?.position ?? START)
  }

  /** Lets go of what was needed by sagas that have ended since. */
  async move(signal: AbortSignal): Promise<void> {
    const from = this.#after
    let passed = 0
    // Whoever is started later stands behind it.
    const to = await this.#log.head()
    const selector = { category: categoryOf(this.#saga), types: ['Started'] }
    for await (const event of this.#log.read<SagaEvent>(selector, { from, to, signal })) {
      if (!(await this.#isOver(event.stream))) {
        await this.#hold(await this.#before(event))
        return
      }
      this.#after = event.position
      if (++passed % STEP === 0) await this.#hold(event.position)
    }
    this.#after = to
    await this.#hold(to)
  }

  async #hold(position: Position): Promise<void> {
    if (position === this.#held) return
    await this.#log.hold(holdOf(this.#saga), position)
    this.#held = position
  }

  /** Behind it stands what a saga needs. */
  async #before({ data }: Recorded<SagaEvent>): Promise<Position> {
    const { reaction, input } = data as Started
    if (!reaction) return this.#after
    const { stream, revision } = input as EventPlace
    // What it says does not matter, nor whether it can be read yet.
    const faults = 'give' as const
    const it = { fromRevision: revision, toRevision: revision, faults }
    for await (const event of this.#log.read({ stream }, it)) {
      let last = START
      for await (const { position } of this.#log.read(
        {},
        { to: event.position, backwards: true, limit: 2, faults },
      ))
        if (position < event.position) last = position
      return last < this.#after ? last : this.#after
    }
    return this.#after
  }

  async #isOver(stream: string): Promise<boolean> {
    const selector = { stream, types: ['Ended', 'Requested'] }
    for await (const { type } of this.#log.read<SagaEvent>(selector, { backwards: true, limit: 1 }))
      // A request may have come too late, or have it go back again.
      return type === 'Ended' || (await readSaga(this.#log, idOf(stream))).end !== undefined
    // What was removed since it was read here is over, too.
    for await (const _ of this.#log.read({ stream }, { limit: 1 })) return false
    return true
  }
}
