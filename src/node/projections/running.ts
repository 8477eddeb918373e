import type { AnyProjection, Projector, ReadModels, RunOptions } from '../../events/index.js'

interface RunningVersion {
  readonly projector: Projector
  readonly definition: AnyProjection<unknown>
  /** It has stopped for an error, or was dropped. */
  hasEnded: boolean
}

/** The versions of a projection that this process runs. */
export class RunningVersions {
  readonly #running = new Map<number, RunningVersion>()

  get versions(): number[] {
    return [...this.#running.keys()]
  }

  /** Also one that has stopped for an error. */
  get(version: number): RunningVersion | undefined {
    return this.#running.get(version)
  }

  /** Whether it runs as it is defined there, and goes on. */
  isRunning(definition: AnyProjection<unknown>): boolean {
    const here = this.#running.get(definition.version)
    return here?.definition === definition && !here.hasEnded
  }

  run(models: ReadModels<unknown>, definition: AnyProjection<unknown>, options: RunOptions): Projector {
    const projector = models.run(definition, options)
    const running: RunningVersion = { projector, definition, hasEnded: false }
    this.#running.set(definition.version, running)
    const end = (): void => {
      running.hasEnded = true
    }
    projector.ended.then(end, end)
    return projector
  }

  /** @returns what has run, if something has */
  async stop(version: number): Promise<RunningVersion | undefined> {
    const here = this.#running.get(version)
    await here?.projector.close()
    this.#running.delete(version)
    return here
  }

  async stopAll(): Promise<void> {
    await Promise.all(this.versions.map((version) => this.stop(version)))
  }
}
