import { userInfo } from 'node:os'
import type { Asker } from '../../events/index.js'
import { inputOf } from '../events/input.js'
import { UsageError } from '../usage-error.js'

/** Who asks, and why, as options of the command line. */
export interface AskerFlags {
  reason?: string
  actor?: string
}

/** Whoever asks is whoever is logged in, unless they say otherwise. */
export function askerOf(reason: string | undefined, actor = userName()): Asker {
  return { ...(reason !== undefined && { reason }), ...(actor !== undefined && { actor }) }
}

export function userName(): string | undefined {
  try {
    return userInfo().username
  } catch {
    // A container may run as a user that has no name.
    return undefined
  }
}

/**
 * What a text says: itself, a file (`@FILE`), or standard input (`-`).
 *
 * @param what - to call it in the error
 * @throws {@link UsageError}
 */
export async function jsonOf(text: string, what: string): Promise<unknown> {
  const source = text === '-' ? 'standard input' : text.startsWith('@') ? text.slice(1) : undefined
  const json = source === undefined ? text : (await inputOf(text)).toString('utf8')
  try {
    return JSON.parse(json) as unknown
  } catch (error) {
    throw new UsageError(
      `${source ?? what} is not JSON: ${(error as Error).message}` +
        (source === undefined ? `; text is written '"in quotes"'` : ''),
    )
  }
}
