import { isDeepStrictEqual } from 'node:util'
import { sleep } from '../../core/clock.js'
import type { Runtime } from '../../core/runtime.js'
import { runSagas, type EventLog, type RunSagasOptions, type SagaRunner } from '../../events/index.js'
import { versionOf, type AnyDefinition } from './module.js'
import type { SagaSpec } from '../spec.js'
import type { HostedSagaState } from './state.js'

/** Pauses between tries to run what cannot be run, in ms. */
const PAUSE_FIRST_MS = 200
const PAUSE_LAST_MS = 10_000

/** What is to run. */
export interface WantedSaga {
  readonly spec: SagaSpec
  /** Its versions; of a policy there is one. */
  readonly definitions: readonly AnyDefinition[]
}

/** The sagas of a name that a configuration asks for. What cannot be run is tried again without end. */
export class HostedSaga {
  readonly name: string
  readonly #log: EventLog
  readonly #runtime: Runtime
  #wanted: WantedSaga
  #runner: SagaRunner | undefined
  #problem: string | undefined
  /** Ends what runs, for something else. */
  #leaving = new AbortController()
  /** One after the other. */
  #turn: Promise<unknown>

  constructor(name: string, wanted: WantedSaga, log: EventLog, runtime: Runtime) {
    this.name = name
    this.#wanted = wanted
    this.#log = log
    this.#runtime = runtime
    this.#turn = this.#run(wanted, this.#leaving.signal)
  }

  get definitions(): readonly AnyDefinition[] {
    return this.#wanted.definitions
  }

  /** Runs what is wanted from now on; what is the same goes on untouched. */
  follow(wanted: WantedSaga): void {
    if (isDeepStrictEqual(this.#wanted.spec, wanted.spec) && isSame(this.definitions, wanted.definitions))
      return
    this.#wanted = wanted
    this.#leaving.abort()
    const { signal } = (this.#leaving = new AbortController())
    this.#turn = this.#turn.then(() => this.#run(wanted, signal))
  }

  /** Begins no step, waits for those in flight, and leaves the rest to others. */
  async close(): Promise<void> {
    this.#leaving.abort()
    await this.#turn
  }

  get state(): HostedSagaState {
    const { spec, definitions } = this.#wanted
    return {
      modules: [spec.module].flat(),
      versions: definitions.map(versionOf).sort((a, b) => a - b),
      running: this.#runner?.running ?? 0,
      ...(this.#problem !== undefined && { problem: this.#problem }),
    }
  }

  /** Resolves when that was left. */
  async #run({ spec, definitions }: WantedSaga, signal: AbortSignal): Promise<void> {
    const { clock } = this.#runtime
    const isOver = (): boolean => signal.aborted
    for (let pause = PAUSE_FIRST_MS; !isOver(); pause = Math.min(2 * pause, PAUSE_LAST_MS)) {
      try {
        await using runner = await runSagas(this.#log, {
          ...optionsOf(spec),
          definitions,
          runtime: this.#runtime,
        })
        this.#runner = runner
        this.#problem = undefined
        pause = PAUSE_FIRST_MS
        await Promise.race([runner.ended, aborted(signal)])
      } catch (error) {
        if (!isOver()) this.#note(error)
      } finally {
        this.#runner = undefined
      }
      await sleep(clock, pause, signal).catch(() => undefined)
    }
  }

  #note(error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error)
    if (problem !== this.#problem)
      this.#runtime.telemetry.log(
        'error',
        `sagas ${this.name} cannot be run, and are tried again: ${problem}`,
      )
    this.#problem = problem
  }
}

function isSame(before: readonly AnyDefinition[], after: readonly AnyDefinition[]): boolean {
  return before.length === after.length && before.every((each, index) => each === after[index])
}

function optionsOf(spec: SagaSpec): Omit<RunSagasOptions, 'definitions'> {
  const options: Omit<RunSagasOptions, 'definitions'> & Partial<SagaSpec> = { ...spec }
  delete options.module
  return options
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
