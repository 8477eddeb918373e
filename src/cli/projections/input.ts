import { parseDuration } from '../../core/duration.js'
import type { SwitchOptions } from '../../events/index.js'
import { UsageError } from '../usage-error.js'

/** Options of `rebuild`. */
export interface RebuildFlags {
  switch?: true
  force?: true
  wait: boolean
}

/** Options of `switch` and `undo`. */
export interface SwitchFlags {
  force?: true
  timeout?: string
}

/** @throws {@link UsageError} */
export function versionOf(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new UsageError(`a version is a whole number from 1, got ${JSON.stringify(text)}`)
}

/** @throws {@link UsageError} */
export function switchOptions({ force, timeout }: SwitchFlags): SwitchOptions {
  if (timeout !== undefined && parseDuration(timeout) === undefined)
    throw new UsageError(`--timeout must be a duration such as 30s, got ${JSON.stringify(timeout)}`)
  return { ...(force && { force }), ...(timeout !== undefined && { timeout: timeout as `${number}s` }) }
}
