import type { Duration } from '../../../../core/duration.js'

/** Answers with files of a directory. */
export interface FilesSpec {
  /** The directory; relative to where the process runs. */
  root: string
  /** What stands for a directory; `false` for nothing. Default `index.html`. */
  index?: string | false
  /** File below the root that browsers get where there is none: the page of an application that routes by itself. */
  fallback?: string
  /** How long clients may use a file without asking again. Default 0: they always ask. */
  maxAge?: Duration
  /** Paths below the root, `/exact` or `/prefix/*`, whose files never change, as their names do. */
  immutable?: string | string[]
  /** Whether `name.br`, `name.zst` and `name.gz` beside a file are its compressed forms. Default false. */
  precompressed?: boolean
}
