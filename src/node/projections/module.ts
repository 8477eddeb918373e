import { projection, type AnyProjection } from '../../events/projections/projection.js'
import { exportOf } from '../user-export.js'
import { loadModule, referenceOf, wrongModule, type UserModule } from '../user-module.js'

const WANTED = {
  what: 'projection',
  how: 'what `projection({ ... })` of banyan/events returns',
  isLikely,
}

/** What was made of a module, by reference: as long as the module stays the same it stays the same object. */
const kept = new Map<string, { readonly module: UserModule; readonly projection: AnyProjection<unknown> }>()

/**
 * Loads a projection from a module.
 *
 * @param reference - a path, with the name of an export behind a `#` if it has several
 * @param name - what the projection must be called
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what is wrong with the module
 */
export async function loadProjection(reference: string, name: string): Promise<AnyProjection<unknown>> {
  const wanted = referenceOf(reference)
  const { file, exportName } = wanted
  const key = `${file}#${exportName ?? ''}`
  const module = await loadModule(wanted)
  const before = kept.get(key)
  if (before?.module === module) return named(before.projection, name, reference)
  const found = checked(exportOf(module, wanted, WANTED), reference)
  kept.set(key, { module, projection: found })
  return named(found, name, reference)
}

function isLikely(value: unknown): value is AnyProjection<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    'version' in value &&
    ('on' in value || 'apply' in value)
  )
}

/** The module may have the `projection` of another copy of the package: so it is the definition that counts. */
function checked(found: AnyProjection<unknown>, reference: string): AnyProjection<unknown> {
  try {
    return projection(found)
  } catch (error) {
    throw wrongModule(`${reference}: ${(error as Error).message}`, error)
  }
}

function named(found: AnyProjection<unknown>, name: string, reference: string): AnyProjection<unknown> {
  if (found.name !== name)
    throw wrongModule(
      `${reference} is the projection \`${found.name}\`, not \`${name}\`; give it the name that it has`,
    )
  return found
}
