import { eventError } from '../../events/errors.js'
import {
  openReadModels,
  type EventLog,
  type ParkedRow,
  type ProjectionStatus,
  type ReadModels,
  type Redriven,
  type Switched,
  type SwitchOptions,
} from '../../events/index.js'
import { redact } from '../../node/config/redact.js'
import type { HostedProjectionState, ProjectionControl } from '../../node/projections/state.js'
import { UsageError } from '../usage-error.js'

interface Store {
  readonly name: string
  readonly models: ReadModels<unknown>
}

/** What stores have of projections, without the node that runs them. */
export class StoredProjections implements ProjectionControl, AsyncDisposable {
  readonly #stores: readonly Store[]

  private constructor(stores: readonly Store[]) {
    this.#stores = stores
  }

  static async open(urls: readonly string[], log: EventLog): Promise<StoredProjections> {
    const stores: Store[] = []
    try {
      for (const url of urls)
        stores.push({ name: String(redact(url)), models: await openReadModels<unknown>(url, log) })
    } catch (error) {
      for (const { models } of stores) await models.close()
      throw error
    }
    return new StoredProjections(stores)
  }

  async list(): Promise<HostedProjectionState[]> {
    const found: HostedProjectionState[] = []
    for (const { name: store, models } of this.#stores) {
      const byName = new Map<string, ProjectionStatus[]>()
      for (const status of await models.list())
        byName.set(status.name, [...(byName.get(status.name) ?? []), status])
      for (const [name, all] of byName) {
        const versions = all.map((stored) => ({ version: stored.version, stored }))
        found.push({ name, modules: [], store, versions })
      }
    }
    return found
  }

  async switch(name: string, version: number, options: SwitchOptions): Promise<Switched> {
    return (await this.#of(name)).models.switch(name, version, options)
  }

  async undo(name: string, options: SwitchOptions): Promise<Switched> {
    return (await this.#of(name)).models.undo(name, options)
  }

  async drop(name: string, version: number, force: boolean): Promise<void> {
    await (await this.#of(name)).models.drop(name, version, { force })
  }

  async parked(
    name: string,
    version: number | undefined,
    after: string | undefined,
    limit: number,
  ): Promise<{ version: number; parked: ParkedRow[] }> {
    const { models, versions } = await this.#of(name)
    const chosen = version ?? (versions.find(({ active }) => active) ?? versions.at(-1)!).version
    const parked: ParkedRow[] = []
    for await (const row of models.parked(name, chosen, after === undefined ? {} : { after })) {
      parked.push(row)
      if (parked.length === limit) break
    }
    return { version: chosen, parked }
  }

  rebuild(): Promise<never> {
    return Promise.reject(needsNode('built'))
  }

  redrive(): Promise<Redriven & { version: number }> {
    return Promise.reject(needsNode('handled'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { models } of this.#stores) await models.close()
  }

  async #of(name: string): Promise<Store & { versions: ProjectionStatus[] }> {
    for (const store of this.#stores) {
      const versions = (await store.models.list()).filter((each) => each.name === name)
      if (versions.length > 0) return { ...store, versions }
    }
    throw eventError(
      'BANYAN_PROJECTION_UNKNOWN',
      `there is no projection ${name} in ${this.#stores.map((store) => store.name).join(', ')}`,
    )
  }
}

function needsNode(what: string): UsageError {
  return new UsageError(`events are ${what} by the node that runs the projection; name it with --admin`)
}
