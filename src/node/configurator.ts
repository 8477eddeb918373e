import { BanyanError } from '../core/errors.js'
import type { HttpHandler } from '../core/http-handler.js'
import { checkWhole, loadConfig, type Loaded } from './config/load.js'
import { NOTHING, readYaml } from './config/yaml-source.js'
import type { ConfigProblem } from './config/problem.js'
import type { Origin, Trigger } from './configuration.js'
import type { ApplyOptions, ChangeOutcome, Control, Door, ReplaceOptions, Running } from './control.js'

/** Why a change that is right as it stands could still not be made. */
const UNAVAILABLE: ReadonlySet<string> = new Set(['BANYAN_LISTEN', 'BANYAN_NOT_RUNNING', 'BANYAN_CLOSED'])

/** Brings a running node its configurations: from the file it was started from, or as text. */
export class Configurator implements Control {
  readonly #node: Running
  readonly #file: string
  readonly #door: Door | undefined
  /** Told of every file that was read, also if it is not right. */
  onRead: ((files: readonly string[]) => void) | undefined = undefined

  /**
   * @param file - what {@link Configurator.reload} reads
   * @param door - where what was read goes; default: to the node
   */
  constructor(node: Running, file: string, door?: Door) {
    this.#node = node
    this.#file = file
    this.#door = door
  }

  get resources(): HttpHandler | undefined {
    return this.#door?.handler
  }

  async reload(by: Trigger): Promise<ChangeOutcome> {
    let loaded: Loaded
    try {
      loaded = await loadConfig(this.#file)
    } catch (error) {
      const file = this.#file
      loaded = { ok: false, file, files: [file], source: NOTHING, problems: [problemOf(error, file)] }
    }
    this.onRead?.(loaded.files)
    const origin = { by, file: loaded.file }
    return loaded.ok && this.#door ? this.#door.take(loaded, origin) : bring(this.#node, loaded, origin)
  }

  async replace(text: string, { format, ...options }: ReplaceOptions): Promise<ChangeOutcome> {
    if (this.#door) {
      const problems = [problemOf(new Error(this.#door.whole), '(request)')]
      const { generation } = this.#node.configuration
      return { ok: false, why: 'unavailable', problems, generation }
    }
    const source = readYaml(text, format === 'yaml' ? process.env : undefined)
    return bring(this.#node, await checkWhole('(request)', source), { by: 'admin' }, options)
  }
}

/** Brings a node a configuration that has been read, right or not. */
export async function bring(
  node: Pick<Running, 'apply' | 'refuse' | 'configuration'>,
  loaded: Loaded,
  origin: Origin,
  options: ApplyOptions = {},
): Promise<ChangeOutcome> {
  const refused = (
    why: 'invalid' | 'stale' | 'unavailable',
    problems: readonly ConfigProblem[],
  ): ChangeOutcome => {
    if (!options.dryRun && why !== 'stale') node.refuse(origin, problems)
    return { ok: false, why, problems, generation: node.configuration.generation }
  }
  if (!loaded.ok) return refused('invalid', loaded.problems)
  try {
    const applied = await node.apply(loaded.spec, origin, options)
    return { ok: true, warnings: loaded.warnings, ...applied }
  } catch (error) {
    const code = error instanceof BanyanError ? error.code : ''
    const why = code === 'BANYAN_STALE_CHANGE' ? 'stale' : UNAVAILABLE.has(code) ? 'unavailable' : 'invalid'
    return refused(why, [problemOf(error, loaded.file)])
  }
}

function problemOf(error: unknown, file: string): ConfigProblem {
  const message = error instanceof Error ? error.message : String(error)
  return { severity: 'error', file, path: [], message }
}
