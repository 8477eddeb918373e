import { isDeepStrictEqual } from 'node:util'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../../events/errors.js'
import type {
  AnyProjection,
  ParkedRow,
  ProjectionStatus,
  Projector,
  ReadModels,
  Redriven,
  RunOptions,
  Switched,
  SwitchOptions,
} from '../../events/index.js'
import type { ProjectionSpec } from '../spec.js'
import { RunningVersions } from './running.js'
import { reasonOf, type HostedStore } from './hosted-store.js'
import type { HostedProjectionState, RebuildRequest, RedriveRequest, VersionState } from './state.js'

/** What is to run. */
interface Wanted {
  readonly spec: ProjectionSpec
  readonly store: HostedStore
  readonly definitions: readonly AnyProjection<unknown>[]
}

/**
 * A projection that a configuration asks for. Its versions run beside each other; one that its modules have no more goes on
 * until it is dropped or the node ends, so that what is read stays new while the next version is built.
 */
export class HostedProjection {
  readonly name: string
  readonly #telemetry: Runtime['telemetry']
  readonly #running = new RunningVersions()
  #wanted: Wanted
  /** What the running versions were started with. */
  #started: { readonly store: HostedStore; readonly options: RunOptions } | undefined
  /** Changes wait for each other. */
  #turn: Promise<unknown> = Promise.resolve()
  /** Ends the waiting for a store, when something else is wanted. */
  #waiting = new AbortController()

  constructor(name: string, wanted: Wanted, { telemetry }: Runtime) {
    this.name = name
    this.#telemetry = telemetry
    this.#wanted = wanted
  }

  /**
   * Runs what is wanted from now on; what is the same and has not stopped is not touched.
   *
   * @returns resolves when it has let go of the store that it was in
   */
  follow(wanted: Wanted): Promise<void> {
    this.#wanted = wanted
    this.#waiting.abort()
    const { signal } = (this.#waiting = new AbortController())
    const letGo = this.#inTurn(() => this.#letGo())
    this.#inTurn(() => this.#begin(signal)).catch((error: unknown) => {
      if (!signal.aborted) this.#telemetry.log('error', `${this.name} cannot be run: ${reasonOf(error)}`)
    })
    return letGo
  }

  /** Leaves everything to others. */
  async close(): Promise<void> {
    this.#waiting.abort()
    await this.#inTurn(() => this.#running.stopAll())
  }

  /** @param found - what its store has, or why that cannot be told */
  stateOf(found: readonly ProjectionStatus[] | string): HostedProjectionState {
    const { spec, store, definitions } = this.#wanted
    const stored = typeof found === 'string' ? [] : found.filter(({ name }) => name === this.name)
    const versions = new Set([
      ...stored.map(({ version }) => version),
      ...definitions.map(({ version }) => version),
      ...this.#running.versions,
    ])
    return {
      name: this.name,
      modules: [spec.module].flat(),
      store: store.name,
      ...(typeof found === 'string' && { problem: found }),
      versions: [...versions].sort((a, b) => a - b).map((version) => this.#versionState(version, stored)),
    }
  }

  /** Which version a request is about, if it names none: the newest that the modules have. */
  newest(definitions: readonly AnyProjection<unknown>[] = this.#wanted.definitions): number {
    return Math.max(...definitions.map(({ version }) => version))
  }

  /**
   * Builds a version anew, beside the one that is read; joins in if that is being done.
   *
   * @param definitions - of its modules as they are now
   * @throws `BANYAN_PROJECTION_UNKNOWN` if the modules do not have it, `BANYAN_PROJECTION_BEHIND` if it is the one that is
   *   read, unless by force
   */
  async rebuild(
    definitions: readonly AnyProjection<unknown>[],
    { version = this.newest(definitions), switch: switches = false, force = false }: RebuildRequest,
  ): Promise<{ name: string; version: number }> {
    const definition = definitions.find((each) => each.version === version)
    if (!definition) throw this.#unknown(version, definitions)
    const { models } = this.#wanted.store
    const projector = await this.#inTurn(async () => {
      const row = (await models.list()).find((each) => each.name === this.name && each.version === version)
      if (row?.state === 'rebuilding' && this.#running.isRunning(definition))
        return this.#running.get(version)!.projector
      if (row?.active && !force)
        throw eventError(
          'BANYAN_PROJECTION_BEHIND',
          `${this.name} version ${version} is the one that is read: give the projection a higher version in ` +
            `${[this.#wanted.spec.module].flat().join(', ')}, or rebuild this one by force; who reads finds it empty until it is built`,
        )
      if (row) await this.#dropNow(models, version, force)
      // What was loaded is what is wanted, also where it was not read with a configuration.
      this.#wanted = { ...this.#wanted, definitions }
      return this.#run(models, definition)
    })
    if (switches) void this.#switchWhenBuilt(projector, version)
    return { name: this.name, version }
  }

  switch(version: number, options: SwitchOptions): Promise<Switched> {
    return this.#wanted.store.models.switch(this.name, version, options)
  }

  undo(options: SwitchOptions): Promise<Switched> {
    return this.#wanted.store.models.undo(this.name, options)
  }

  /** Stops a version here, and removes it. */
  async drop(version: number, force: boolean): Promise<void> {
    const { models } = this.#wanted.store
    return this.#inTurn(() => this.#dropNow(models, version, force))
  }

  /** Stops a version here, as another process is about to remove it. */
  release(version: number): Promise<void> {
    return this.#inTurn(() => this.#running.stop(version).then(() => undefined))
  }

  async redrive({ version, key }: RedriveRequest): Promise<Redriven & { version: number }> {
    const { models } = this.#wanted.store
    const chosen = version ?? (await this.#activeOr(models, this.newest()))
    const definition = this.#definitionOf(chosen)
    const redriven = await models.retryParked(definition, key === undefined ? {} : { key })
    return { ...redriven, version: chosen }
  }

  async parked(
    version: number | undefined,
    after: string | undefined,
    limit: number,
  ): Promise<{ version: number; parked: ParkedRow[] }> {
    const { models } = this.#wanted.store
    const chosen = version ?? (await this.#activeOr(models, this.newest()))
    const parked: ParkedRow[] = []
    for await (const row of models.parked(this.name, chosen, after === undefined ? {} : { after })) {
      parked.push(row)
      if (parked.length === limit) break
    }
    return { version: chosen, parked }
  }

  #versionState(version: number, stored: readonly ProjectionStatus[]): VersionState {
    const status = stored.find((each) => each.version === version)
    const here = this.#running.get(version)?.projector.status()
    return { version, ...(status && { stored: { ...status } }), ...(here && { here: { ...here } }) }
  }

  /** Closes what was started otherwise than is wanted now. */
  async #letGo(): Promise<void> {
    const { spec, store } = this.#wanted
    if (this.#started?.store !== store || !isDeepStrictEqual(this.#started.options, optionsOf(spec)))
      await this.#running.stopAll()
  }

  async #begin(signal: AbortSignal): Promise<void> {
    const { spec, store, definitions } = this.#wanted
    const models = await store.opened(signal)
    this.#started = { store, options: optionsOf(spec) }
    for (const definition of definitions) {
      if (this.#running.isRunning(definition)) continue
      await this.#running.stop(definition.version)
      this.#run(models, definition)
    }
  }

  #run(models: ReadModels<unknown>, definition: AnyProjection<unknown>): Projector {
    return this.#running.run(models, definition, optionsOf(this.#wanted.spec))
  }

  /** A version that may not be dropped goes on. */
  async #dropNow(models: ReadModels<unknown>, version: number, force: boolean): Promise<void> {
    const stopped = await this.#running.stop(version)
    try {
      await models.drop(this.name, version, { force })
    } catch (error) {
      if (stopped) this.#run(models, stopped.definition)
      throw error
    }
  }

  async #switchWhenBuilt(projector: Projector, version: number): Promise<void> {
    try {
      await projector.caughtUp()
      const { before } = await this.switch(version, {})
      const instead = before === undefined ? '' : ` in place of version ${before}`
      this.#telemetry.log('info', `${this.name} version ${version} is built, and read from now on${instead}`)
    } catch (error) {
      this.#telemetry.log('error', `${this.name} is not switched to version ${version}: ${reasonOf(error)}`)
    }
  }

  async #activeOr(models: ReadModels<unknown>, other: number): Promise<number> {
    const all = await models.list()
    return all.find(({ name, active }) => active && name === this.name)?.version ?? other
  }

  /** Of what runs here, or is to. */
  #definitionOf(version: number): AnyProjection<unknown> {
    const { definitions } = this.#wanted
    const found =
      this.#running.get(version)?.definition ?? definitions.find((each) => each.version === version)
    if (!found) throw this.#unknown(version, definitions)
    return found
  }

  #unknown(version: number, definitions: readonly AnyProjection<unknown>[]): Error {
    const known = definitions.map((each) => each.version).join(', ')
    return eventError(
      'BANYAN_PROJECTION_UNKNOWN',
      `${[this.#wanted.spec.module].flat().join(', ')} has no version ${version} of ${this.name}, but ${known}`,
    )
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#turn.then(work)
    this.#turn = result.catch(() => undefined)
    return result
  }
}

function optionsOf(spec: ProjectionSpec): RunOptions {
  const options: RunOptions & Partial<ProjectionSpec> = { ...spec }
  delete options.module
  delete options.store
  return options
}
