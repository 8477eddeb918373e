import type { TableCapture } from '../../events/index.js'
import {
  loadModule,
  referenceOf,
  wrongModule,
  type ModuleReference,
  type UserModule,
} from '../user-module.js'

type Map = NonNullable<TableCapture['map']>

/** A mapping, and what it was made of. */
export interface LoadedMap {
  readonly map: Map
  /** Another one if the module, or what it imports, has changed. */
  readonly fingerprint: string
}

/**
 * Loads the function that makes events of changes, from a module in TypeScript or JavaScript; anew if it has changed.
 *
 * @param reference - a path, with the name of an export behind a `#` if it has several
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what is wrong with the module
 */
export async function loadMap(reference: string): Promise<LoadedMap> {
  const wanted = referenceOf(reference)
  const { exported, fingerprint } = await loadModule(wanted)
  return { map: exportOf(exported, wanted), fingerprint }
}

/** What is named, else the default export, else the only function. */
function exportOf(exported: UserModule['exported'], { exportName: name, path }: ModuleReference): Map {
  const names = Object.keys(exported).filter((each) => typeof exported[each] === 'function')
  const chosen = name ?? (names.includes('default') || names.length !== 1 ? 'default' : names[0]!)
  const found = exported[chosen]
  if (typeof found === 'function') return found as Map
  throw wrongModule(
    names.length === 0
      ? `${path} exports no function that makes events of a change`
      : `${path} exports ${name === undefined ? 'several functions' : `no function ${name}`}; say which, as ${path}#${names[0]!}`,
  )
}
