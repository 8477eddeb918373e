import { suggest } from '../../core/suggest.js'
import { projection, type AnyProjection } from '../../events/projections/projection.js'
import { loadModule, referenceOf, wrongModule, type UserModule } from '../user-module.js'

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
  const { file, path, exportName } = wanted
  const key = `${file}#${exportName ?? ''}`
  const module = await loadModule(wanted)
  const before = kept.get(key)
  if (before?.module === module) return named(before.projection, name, reference)
  const found = checked(exportOf(module.exported, exportName, path), reference)
  kept.set(key, { module, projection: found })
  return named(found, name, reference)
}

/** What is named, else the default export, else the only one that can be meant. */
function exportOf(exported: UserModule['exported'], name: string | undefined, path: string): unknown {
  if (name !== undefined) {
    if (name in exported) return exported[name]
    const near = suggest(name, Object.keys(exported))
    throw wrongModule(
      `${path} exports no ${name}${near === undefined ? '' : `, did you mean \`${path}#${near}\`?`}`,
    )
  }
  if (isLikely(exported['default'])) return exported['default']
  const names = Object.keys(exported).filter((each) => isLikely(exported[each]))
  if (names.length === 1) return exported[names[0]!]
  throw wrongModule(
    names.length === 0
      ? `${path} exports no projection: export what \`projection({ ... })\` of banyan/events returns`
      : `${path} exports ${names.join(', ')}; say which, as ${path}#${names[0]!}`,
  )
}

function isLikely(value: unknown): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    'version' in value &&
    ('on' in value || 'apply' in value)
  )
}

/** The module may have the `projection` of another copy of the package: so it is the definition that counts. */
function checked(found: unknown, reference: string): AnyProjection<unknown> {
  if (!isLikely(found))
    throw wrongModule(
      `${reference} is no projection: export what \`projection({ ... })\` of banyan/events returns`,
    )
  try {
    return projection(found as AnyProjection<unknown>)
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
