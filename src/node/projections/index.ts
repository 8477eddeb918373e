/**
 * The projections of a node: `module.ts` loads them, `hosted-projections.ts` keeps those that the configuration asks for,
 * each (`hosted-projection.ts`) with its versions, in stores (`hosted-store.ts`) that several share.
 */
import { eventError } from '../../events/errors.js'
import type { EventLog } from '../../events/log.js'
import type { Runtime } from '../../core/runtime.js'
import type { NodeSpec } from '../spec.js'
import type { HostedProjections } from './hosted-projections.js'
import type { ProjectionControl } from './state.js'

/** Runs what a configuration asks for. What that takes is loaded only then. */
export class ProjectionHost {
  readonly #log: EventLog | undefined
  readonly #runtime: Runtime
  #hosted: HostedProjections | undefined
  #first: () => void = () => undefined

  private constructor(log: EventLog | undefined, runtime: Runtime) {
    this.#log = log
    this.#runtime = runtime
  }

  /**
   * Loads the modules of a configuration; nothing runs before {@link ProjectionHost.begin}.
   *
   * @param log - what they are made of, if there is one; stays open
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which module cannot be had
   */
  static async open(
    spec: Pick<NodeSpec, 'projections'>,
    log: EventLog | undefined,
    runtime: Runtime,
  ): Promise<ProjectionHost> {
    const host = new ProjectionHost(log, runtime)
    host.#first = await host.prepare(spec)
    return host
  }

  /** Runs what it was opened with. */
  begin(): void {
    this.#first()
  }

  /** For operators, if there ever were projections. */
  get control(): ProjectionControl | undefined {
    return this.#hosted
  }

  /**
   * Loads the modules of another configuration.
   *
   * @returns puts it into force
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says which module cannot be had; nothing has changed then
   */
  async prepare({ projections = {} }: Pick<NodeSpec, 'projections'>): Promise<() => void> {
    if (!this.#hosted) {
      if (Object.keys(projections).length === 0) return () => undefined
      if (!this.#log)
        throw eventError('BANYAN_UNSUPPORTED', 'projections are made of events, and there is no event log')
      const { HostedProjections } = await import('./hosted-projections.js')
      this.#hosted = new HostedProjections(this.#log, this.#runtime)
    }
    return this.#hosted.prepare(projections)
  }

  /** Ends what runs; another process goes on at once. */
  async close(): Promise<void> {
    await this.#hosted?.close()
  }
}
