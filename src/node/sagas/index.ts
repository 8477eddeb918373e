/**
 * The sagas of a node: `module.ts` loads them, `hosted-sagas.ts` keeps those that the configuration asks for, each name
 * (`hosted-saga.ts`) with all its versions; `watch.ts` tells how many of the log are parked, whoever runs them.
 */
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../../events/errors.js'
import type { EventLog } from '../../events/log.js'
import type { NodeSpec } from '../spec.js'
import type { HostedSagas } from './hosted-sagas.js'
import type { HostedSagaState, SagaStarter } from './state.js'

/** Runs what a configuration asks for. What that takes is loaded only then. */
export class SagaHost {
  readonly #log: EventLog | undefined
  readonly #runtime: Runtime
  #hosted: HostedSagas | undefined
  #first: () => void = () => undefined

  private constructor(log: EventLog | undefined, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
  }

  /**
   * Loads the modules of a configuration; nothing runs before {@link SagaHost.begin}.
   *
   * @param log - where they are, if there is one; stays open
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which module cannot be had
   */
  static async open(
    spec: Pick<NodeSpec, 'sagas'>,
    log: EventLog | undefined,
    runtime: Runtime,
  ): Promise<SagaHost> {
    const host = new SagaHost(log, runtime)
    host.#first = await host.prepare(spec)
    return host
  }

  /** Runs what it was opened with. */
  begin(): void {
    this.#first()
  }

  /** By name, if there ever were sagas. */
  get states(): Readonly<Record<string, HostedSagaState>> | undefined {
    return this.#hosted?.states
  }

  /** If there ever were sagas. */
  get starter(): SagaStarter | undefined {
    return this.#hosted
  }

  /**
   * Loads the modules of another configuration.
   *
   * @returns puts it into force
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which module cannot be had; nothing has changed then
   */
  async prepare({ sagas = {} }: Pick<NodeSpec, 'sagas'>): Promise<() => void> {
    if (!this.#hosted) {
      if (Object.keys(sagas).length === 0) return () => undefined
      if (!this.#log) throw eventError('BANYAN_UNSUPPORTED', 'sagas stand in an event log, and there is none')
      const { HostedSagas } = await import('./hosted-sagas.js')
      this.#hosted = new HostedSagas(this.#log, this.#runtime)
    }
    return this.#hosted.prepare(sagas)
  }

  /** Begins no step, and waits for those in flight; another process goes on at once. */
  async close(): Promise<void> {
    await this.#hosted?.close()
  }
}
