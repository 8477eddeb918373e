/**
 * The captures of a node: `module.ts` loads their mappings, `hosted-captures.ts` keeps those that the configuration asks for.
 */
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../../events/errors.js'
import type { EventLog } from '../../events/log.js'
import type { NodeSpec } from '../spec.js'
import type { HostedCaptures } from './hosted-captures.js'
import type { CaptureControl } from './state.js'

/** Runs what a configuration asks for. What that takes is loaded only then. */
export class CaptureHost {
  readonly #log: EventLog | undefined
  readonly #runtime: Runtime
  #hosted: HostedCaptures | undefined
  #first: () => void = () => undefined

  private constructor(log: EventLog | undefined, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
  }

  /**
   * Loads the mappings of a configuration; nothing runs before {@link CaptureHost.begin}.
   *
   * @param log - where the events go, if there is one; stays open
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which mapping cannot be had
   */
  static async open(
    spec: Pick<NodeSpec, 'cdc'>,
    log: EventLog | undefined,
    runtime: Runtime,
  ): Promise<CaptureHost> {
    const host = new CaptureHost(log, runtime)
    host.#first = await host.prepare(spec)
    return host
  }

  /** Runs what it was opened with. */
  begin(): void {
    this.#first()
  }

  /** For operators, if there ever were captures. */
  get control(): CaptureControl | undefined {
    return this.#hosted
  }

  /**
   * Loads the mappings of another configuration.
   *
   * @returns puts it into force
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which mapping cannot be had; nothing has changed then
   */
  async prepare({ cdc = {} }: Pick<NodeSpec, 'cdc'>): Promise<() => void> {
    if (!this.#hosted) {
      if (Object.keys(cdc).length === 0) return () => undefined
      if (!this.#log)
        throw eventError('BANYAN_UNSUPPORTED', 'changes are captured as events, and there is no event log')
      const { HostedCaptures } = await import('./hosted-captures.js')
      this.#hosted = new HostedCaptures(this.#log, this.#runtime)
    }
    return this.#hosted.prepare(cdc)
  }

  /** Ends what runs; another process goes on at once. */
  async close(): Promise<void> {
    await this.#hosted?.close()
  }
}
