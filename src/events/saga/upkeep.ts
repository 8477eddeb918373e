import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import type { EventLog } from '../log.js'
import type { AnySaga } from './definition.js'
import { describeAgain } from './description.js'
import { SagaHold } from './hold.js'
import type { SagaInstruments } from './instruments.js'
import { SagaRemoval } from './removal.js'

/** Between two rounds, in ms; soon after the start there are more of them. */
const ROUND_FIRST_MS = 1000
const ROUND_LAST_MS = 60_000

/** What {@link SagaUpkeep} needs. */
export interface SagaUpkeepOptions {
  readonly runtime: Runtime
  /** All of one name. */
  readonly definitions: readonly AnySaga[]
  /** Of a policy: what it follows. */
  readonly topic: string | undefined
  /** How long ended sagas are kept, in ms; undefined for ever. */
  readonly keepEnded: number | undefined
}

/**
 * Sees to it that the log keeps what sagas of a name need, and no longer: rounds from time to time, in one of the processes that
 * run them. Each round may be done again, or by two.
 */
export class SagaUpkeep {
  readonly #log: EventLog
  readonly #name: string
  readonly #options: SagaUpkeepOptions
  readonly #hold: SagaHold
  readonly #removal: SagaRemoval | undefined
  readonly #closing = new AbortController()
  #running: Promise<void> = Promise.resolve()

  private constructor(log: EventLog, name: string, options: SagaUpkeepOptions, hold: SagaHold) {
    const { keepEnded, runtime } = options
    this.#log = log
    this.#name = name
    this.#options = options
    this.#hold = hold
    this.#removal = keepEnded === undefined ? undefined : new SagaRemoval(log, name, keepEnded, runtime)
  }

  /** From here on the log keeps what sagas of that name need. */
  static async open(log: EventLog, name: string, options: SagaUpkeepOptions): Promise<SagaUpkeep> {
    return new SagaUpkeep(log, name, options, await SagaHold.place(log, name))
  }

  /** @param isOurs - whether it falls to this process at the moment */
  begin(isOurs: () => boolean, instruments: SagaInstruments): void {
    this.#running = this.#run(isOurs, instruments)
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(isOurs: () => boolean, instruments: SagaInstruments): Promise<void> {
    const { runtime, keepEnded = Infinity } = this.#options
    const { signal } = this.#closing
    const isClosing = (): boolean => signal.aborted
    const longest = Math.max(ROUND_FIRST_MS, Math.min(ROUND_LAST_MS, keepEnded))
    for (let pause = ROUND_FIRST_MS; ; pause = Math.min(2 * pause, longest)) {
      await sleep(runtime.clock, pause, signal).catch(() => undefined)
      if (isClosing()) return
      if (!isOurs()) continue
      try {
        await this.#round(instruments, signal)
      } catch (error) {
        if (isClosing() || (error instanceof BanyanError && error.code === 'BANYAN_LOG_CLOSED')) return
        runtime.telemetry.log('warn', `sagas ${this.#name}: ${String(error)}; ended ones are removed later`)
      }
    }
  }

  async #round(instruments: SagaInstruments, signal: AbortSignal): Promise<void> {
    const { definitions, topic } = this.#options
    await describeAgain(this.#log, this.#name, definitions, topic)
    await this.#hold.move(signal)
    await this.#removal?.run(() => instruments.removed(), signal)
  }
}
