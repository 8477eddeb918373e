import { BanyanError } from '../core/errors.js'
import { checkWhole, loadConfig, type Loaded } from './config/load.js'
import { readYaml } from './config/yaml-source.js'
import type { ConfigProblem } from './config/problem.js'
import type { Origin, Trigger } from './configuration.js'
import type { ApplyOptions, ChangeOutcome, Control, ReplaceOptions, Running } from './control.js'

/** Why a change that is right as it stands could still not be made. */
const UNAVAILABLE: ReadonlySet<string> = new Set(['BANYAN_LISTEN', 'BANYAN_NOT_RUNNING', 'BANYAN_CLOSED'])

/** Brings a running node its configurations: from the file it was started from, or as text. */
export class Configurator implements Control {
  readonly #node: Running
  readonly #file: string
  /** Told of every file that was read, also if it is not right. */
  onRead: ((files: readonly string[]) => void) | undefined = undefined

  /**
   * @param file - what {@link Configurator.reload} reads
   */
  constructor(node: Running, file: string) {
    this.#node = node
    this.#file = file
  }

  async reload(by: Trigger): Promise<ChangeOutcome> {
    let loaded: Loaded
    try {
      loaded = await loadConfig(this.#file)
    } catch (error) {
      const file = this.#file
      loaded = { ok: false, file, files: [file], problems: [problemOf(error, file)] }
    }
    this.onRead?.(loaded.files)
    return this.#apply(loaded, { by, file: loaded.file }, {})
  }

  async replace(text: string, { format, ...options }: ReplaceOptions): Promise<ChangeOutcome> {
    const source = readYaml(text, format === 'yaml' ? process.env : undefined)
    return this.#apply(await checkWhole('(request)', source), { by: 'admin' }, options)
  }

  async #apply(loaded: Loaded, origin: Origin, options: ApplyOptions): Promise<ChangeOutcome> {
    const refused = (
      why: 'invalid' | 'stale' | 'unavailable',
      problems: readonly ConfigProblem[],
    ): ChangeOutcome => {
      if (!options.dryRun && why !== 'stale') this.#node.refuse(origin, problems)
      return { ok: false, why, problems, generation: this.#node.configuration.generation }
    }
    if (!loaded.ok) return refused('invalid', loaded.problems)
    try {
      const applied = await this.#node.apply(loaded.spec, origin, options)
      return { ok: true, warnings: loaded.warnings, ...applied }
    } catch (error) {
      const code = error instanceof BanyanError ? error.code : ''
      const why = code === 'BANYAN_STALE_CHANGE' ? 'stale' : UNAVAILABLE.has(code) ? 'unavailable' : 'invalid'
      return refused(why, [problemOf(error, loaded.file)])
    }
  }
}

function problemOf(error: unknown, file: string): ConfigProblem {
  const message = error instanceof Error ? error.message : String(error)
  return { severity: 'error', file, path: [], message }
}
