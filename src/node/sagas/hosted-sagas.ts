import type { Runtime } from '../../core/runtime.js'
import {
  sagas,
  type AnySaga,
  type EventLog,
  type StartedSaga,
  type StartOptions,
} from '../../events/index.js'
import type { SagaSpec } from '../spec.js'
import { HostedSaga } from './hosted-saga.js'
import { isPolicy } from '../../events/saga/policies/policy.js'
import { definitionsOf, type AnyDefinition } from './module.js'
import type { HostedSagaState, SagaStarter } from './state.js'

type Specs = Readonly<Record<string, SagaSpec>>

/** The sagas that a configuration asks for. Those that stay the same go on when it changes. */
export class HostedSagas implements SagaStarter {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #sagas = new Map<string, HostedSaga>()
  /** What is being closed while the node goes on. */
  readonly #leaving = new Set<Promise<void>>()

  constructor(log: EventLog, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
  }

  /**
   * Loads the modules of a configuration.
   *
   * @returns runs what it asks for, in place of what was asked for before
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which module cannot be had; nothing has changed then
   */
  async prepare(specs: Specs): Promise<() => void> {
    const definitions = new Map<string, readonly AnyDefinition[]>()
    for (const [name, spec] of Object.entries(specs)) definitions.set(name, await definitionsOf(name, spec))
    return () => this.#follow(specs, definitions)
  }

  get states(): Readonly<Record<string, HostedSagaState>> {
    return Object.fromEntries(Array.from(this.#sagas, ([name, hosted]) => [name, hosted.state]))
  }

  start(name: string, input: unknown, options: StartOptions): Promise<StartedSaga> {
    const hosted = this.#sagas.get(name)?.definitions ?? []
    // Those of policies are started by events alone, which is said where it is refused.
    const definitions = hosted.filter((definition): definition is AnySaga => !isPolicy(definition))
    return sagas(this.#log, { definitions, runtime: this.#runtime }).start(name, input, options)
  }

  /** Begins no step, waits for those in flight, and leaves the rest to others. */
  async close(): Promise<void> {
    this.#follow({}, new Map())
    await Promise.all(this.#leaving)
  }

  #follow(specs: Specs, definitions: ReadonlyMap<string, readonly AnyDefinition[]>): void {
    for (const [name, hosted] of this.#sagas)
      if (!Object.hasOwn(specs, name)) {
        this.#sagas.delete(name)
        this.#leave(hosted)
      }
    for (const [name, spec] of Object.entries(specs)) {
      const wanted = { spec, definitions: definitions.get(name)! }
      const hosted = this.#sagas.get(name)
      if (hosted) hosted.follow(wanted)
      else this.#sagas.set(name, new HostedSaga(name, wanted, this.#log, this.#runtime))
    }
  }

  #leave(hosted: HostedSaga): void {
    const leaving = hosted.close()
    this.#leaving.add(leaving)
    void leaving.finally(() => this.#leaving.delete(leaving))
  }
}
