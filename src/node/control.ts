import type { ConfigChange } from './config/diff.js'
import type { ConfigProblem } from './config/problem.js'
import type { Trigger } from './configuration.js'

/** What a change has brought. */
export interface Applied {
  /** The number of the configuration in force. */
  generation: number
  hash: string
  /** Everything that has changed; empty if nothing has, and then the generation is the same. */
  changes: readonly ConfigChange[]
}

/** How a change is to be made. */
export interface ApplyOptions {
  /** The generation that the change was made for; if another is in force by now, the change is refused. */
  ifGeneration?: number | undefined
  /** Whether only to try it: everything is made but for listeners, and given back. Default false. */
  dryRun?: boolean | undefined
}

/** Who brings a running node its configurations; what the admin listener turns to. */
export interface Control {
  /** Reads the file again that the node was started from. */
  reload(by: Trigger): Promise<ChangeOutcome>
  /** Takes a configuration as text. */
  replace(text: string, options: ReplaceOptions): Promise<ChangeOutcome>
}

/** How {@link Control.replace} reads a configuration. */
export interface ReplaceOptions extends ApplyOptions {
  /** YAML is read as a file is, with `${NAME}` from the node's environment; JSON is taken as it stands. */
  format: 'yaml' | 'json'
}

/** What became of a configuration that was asked for. */
export type ChangeOutcome =
  | ({ ok: true; warnings: readonly ConfigProblem[] } & Applied)
  | {
      ok: false
      /** `invalid`: what it says; `stale`: another generation is in force; `unavailable`: it cannot be had here and now. */
      why: 'invalid' | 'stale' | 'unavailable'
      problems: readonly ConfigProblem[]
      /** The one in force. */
      generation: number
    }
