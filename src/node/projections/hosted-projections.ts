import { BanyanError } from '../../core/errors.js'
import type { Runtime } from '../../core/runtime.js'
import { suggest } from '../../core/suggest.js'
import { eventError } from '../../events/errors.js'
import type {
  AnyProjection,
  EventLog,
  ParkedRow,
  Redriven,
  Switched,
  SwitchOptions,
} from '../../events/index.js'
import type { ProjectionSpec } from '../spec.js'
import { HostedProjection } from './hosted-projection.js'
import { HostedStore } from './hosted-store.js'
import { loadProjection } from './module.js'
import type { HostedProjectionState, ProjectionControl, RebuildRequest, RedriveRequest } from './state.js'

type Specs = Readonly<Record<string, ProjectionSpec>>

/** The projections that a configuration asks for. Those that stay the same go on when it changes. */
export class HostedProjections implements ProjectionControl {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #stores = new Map<string, HostedStore>()
  readonly #projections = new Map<string, HostedProjection>()
  #specs: Specs = {}
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
    const definitions = new Map<string, readonly AnyProjection<unknown>[]>()
    for (const [name, spec] of Object.entries(specs)) definitions.set(name, await definitionsOf(name, spec))
    return () => this.#follow(specs, definitions)
  }

  async list(): Promise<HostedProjectionState[]> {
    const found = new Map<string, Awaited<ReturnType<HostedStore['look']>>>()
    await Promise.all(Array.from(this.#stores, async ([url, store]) => found.set(url, await store.look())))
    return Array.from(this.#projections, ([name, projection]) =>
      projection.stateOf(found.get(this.#specs[name]!.store)!),
    )
  }

  async rebuild(name: string, request: RebuildRequest): Promise<{ name: string; version: number }> {
    const projection = this.#find(name)
    return projection.rebuild(await definitionsOf(name, this.#specs[name]!), request)
  }

  async switch(name: string, version: number, options: SwitchOptions): Promise<Switched> {
    return this.#find(name).switch(version, options)
  }

  async undo(name: string, options: SwitchOptions): Promise<Switched> {
    return this.#find(name).undo(options)
  }

  async drop(name: string, version: number, force: boolean): Promise<void> {
    await this.#find(name).drop(version, force)
  }

  async redrive(name: string, request: RedriveRequest): Promise<Redriven & { version: number }> {
    return this.#find(name).redrive(request)
  }

  async parked(
    name: string,
    version: number | undefined,
    after: string | undefined,
    limit: number,
  ): Promise<{ version: number; parked: ParkedRow[] }> {
    return this.#find(name).parked(version, after, limit)
  }

  /** Which version a request to rebuild means. */
  async versionOf(name: string, { version }: RebuildRequest): Promise<number> {
    const projection = this.#find(name)
    return version ?? projection.newest(await definitionsOf(name, this.#specs[name]!))
  }

  /** Stops a version in this process, as another is about to remove it. */
  async release(name: string, version: number): Promise<void> {
    await this.#find(name).release(version)
  }

  /** Runs what is to run after a {@link HostedProjections.release}. */
  async resume(name: string): Promise<void> {
    const projection = this.#find(name)
    const spec = this.#specs[name]!
    await projection.follow({
      spec,
      store: this.#storeOf(spec.store),
      definitions: await definitionsOf(name, spec),
    })
  }

  /** Leaves everything to others. */
  async close(): Promise<void> {
    this.#follow({}, new Map())
    await Promise.all(this.#leaving)
  }

  #follow(specs: Specs, definitions: ReadonlyMap<string, readonly AnyProjection<unknown>[]>): void {
    const gone: Promise<void>[] = []
    for (const [name, projection] of this.#projections)
      if (!Object.hasOwn(specs, name)) {
        this.#projections.delete(name)
        gone.push(projection.close())
      }
    this.#specs = specs
    for (const [name, spec] of Object.entries(specs)) {
      const wanted = { spec, store: this.#storeOf(spec.store), definitions: definitions.get(name)! }
      let projection = this.#projections.get(name)
      if (!projection) {
        projection = new HostedProjection(name, wanted, this.#runtime)
        this.#projections.set(name, projection)
      }
      gone.push(projection.follow(wanted))
    }
    this.#leave(gone)
  }

  #storeOf(url: string): HostedStore {
    let store = this.#stores.get(url)
    if (!store) {
      store = new HostedStore(url, this.#log, this.#runtime)
      this.#stores.set(url, store)
    }
    return store
  }

  /** Closes stores that nobody uses any more, once those that did have let go of them. */
  #leave(gone: readonly Promise<void>[]): void {
    const used = new Set(Object.values(this.#specs).map(({ store }) => store))
    const unused = [...this.#stores].filter(([url]) => !used.has(url))
    for (const [url] of unused) this.#stores.delete(url)
    const leaving = Promise.all(gone).then(async () => {
      await Promise.all(unused.map(([, store]) => store.close()))
    })
    this.#leaving.add(leaving)
    void leaving.finally(() => this.#leaving.delete(leaving))
  }

  #find(name: string): HostedProjection {
    const found = this.#projections.get(name)
    if (found) return found
    const near = suggest(name, this.#projections.keys())
    throw eventError(
      'BANYAN_PROJECTION_UNKNOWN',
      `there is no projection \`${name}\` in the configuration${near === undefined ? `; it has ${[...this.#projections.keys()].join(', ')}` : `, did you mean \`${near}\`?`}`,
    )
  }
}

/** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
async function definitionsOf(name: string, spec: ProjectionSpec): Promise<AnyProjection<unknown>[]> {
  const definitions: AnyProjection<unknown>[] = []
  for (const reference of [spec.module].flat())
    try {
      definitions.push(await loadProjection(reference, name))
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      const code = error.code as `BANYAN_${string}`
      throw new BanyanError(code, `projections.${name}: ${error.message}`, { cause: error })
    }
  return definitions
}
