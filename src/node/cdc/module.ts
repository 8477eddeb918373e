import { existsSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createJiti } from 'jiti'
import { BanyanError } from '../../core/errors.js'
import type { TableCapture } from '../../events/index.js'

type Map = NonNullable<TableCapture['map']>

/** A mapping, and what it was made of. */
export interface LoadedMap {
  readonly map: Map
  /** Another one if the module has changed. */
  readonly fingerprint: string
}

/**
 * Loads the function that makes events of changes, from a module in TypeScript or JavaScript; anew each time.
 *
 * @param reference - a path, with the name of an export behind a `#` if it has several
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what is wrong with the module
 */
export async function loadMap(reference: string): Promise<LoadedMap> {
  const file = fileOf(reference)
  const path = reference.split('#')[0]!
  if (!existsSync(file)) throw wrong(`there is no file ${path}`)
  let exported: Record<string, unknown>
  try {
    exported = await createJiti(file, { moduleCache: false, fsCache: false }).import<Record<string, unknown>>(
      file,
    )
  } catch (error) {
    throw wrong(`cannot load ${path}: ${error instanceof Error ? error.message : String(error)}`, error)
  }
  return { map: exportOf(exported, reference, path), fingerprint: readFileSync(file, 'utf8') }
}

/** What a reference is loaded from. */
export function fileOf(reference: string): string {
  return resolve(reference.split('#')[0]!)
}

/** What is named, else the default export, else the only function. */
function exportOf(exported: Record<string, unknown>, reference: string, path: string): Map {
  const name = reference.split('#')[1]
  const names = Object.keys(exported).filter((each) => typeof exported[each] === 'function')
  const chosen = name ?? (names.includes('default') || names.length !== 1 ? 'default' : names[0]!)
  const found = exported[chosen]
  if (typeof found === 'function') return found as Map
  throw wrong(
    names.length === 0
      ? `${path} exports no function that makes events of a change`
      : `${path} exports ${name === undefined ? 'several functions' : `no function ${name}`}; say which, as ${path}#${names[0]!}`,
  )
}

function wrong(message: string, cause?: unknown): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message, cause === undefined ? {} : { cause })
}
