import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createJiti } from 'jiti'
import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import { projection, type AnyProjection } from '../../events/projections/projection.js'
import { fingerprint } from '../file-watcher.js'

/** A projection that a module exports. */
export interface LoadedProjection {
  readonly projection: AnyProjection<unknown>
  /** What was read for it: the module, and what it imports of its own. */
  readonly files: readonly string[]
}

interface Kept extends LoadedProjection {
  /** Of the files as they were read. */
  readonly fingerprint: string
}

/** What was loaded last, by reference: as long as no file of it changes it stays the same object. */
const kept = new Map<string, Kept>()

/**
 * Loads a projection from a module in TypeScript or JavaScript; anew if a file of it has changed since. What Node itself
 * loads (`.mjs`, packages) is read once in a process.
 *
 * @param reference - a path, with the name of an export behind a `#` if it has several
 * @param name - what the projection must be called
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what is wrong with the module
 */
export async function loadProjection(reference: string, name: string): Promise<LoadedProjection> {
  const { path, file, exportName, key } = partsOf(reference)
  const before = kept.get(key)
  if (before && isAsItWas(before)) return named(before, name, reference)
  if (!existsSync(file)) throw wrong(`there is no file ${path}`)
  const { exported, files } = await evaluate(file, path, before?.files ?? [])
  const found = exportOf(exported, exportName, path)
  const loaded = { projection: checked(found, reference), files, fingerprint: fingerprint(files) }
  kept.set(key, loaded)
  return named(loaded, name, reference)
}

/** What a reference is loaded from, as far as that is known: also if it cannot be loaded. */
export function filesOf(reference: string): readonly string[] {
  const { file, key } = partsOf(reference)
  return [...new Set([file, ...(kept.get(key)?.files ?? [])])]
}

function isAsItWas({ files, fingerprint: known }: Kept): boolean {
  return fingerprint(files) === known
}

function partsOf(reference: string): { path: string; file: string; exportName?: string; key: string } {
  const [, path = '', exportName] = /^(.*?)(?:#([^#/\\]+))?$/s.exec(reference) ?? []
  const file = resolve(path)
  return { path, file, ...(exportName !== undefined && { exportName }), key: `${file}#${exportName ?? ''}` }
}

async function evaluate(
  file: string,
  path: string,
  stale: readonly string[],
): Promise<{ exported: Record<string, unknown>; files: readonly string[] }> {
  const plain = createJiti(file)
  const files = new Set([file])
  const jiti = createJiti(file, {
    transform(options) {
      if (options.filename !== undefined) files.add(options.filename)
      return { code: plain.transform(options) }
    },
  })
  const cache: Record<string, unknown> = jiti.cache
  for (const each of [file, ...stale]) Reflect.deleteProperty(cache, each)
  try {
    const exported = await jiti.import<Record<string, unknown>>(file)
    return { exported, files: [...files].filter((each) => !/[\\/]node_modules[\\/]/.test(each)) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw wrong(`cannot load ${path}: ${message}`, error)
  }
}

/** What is named, else the default export, else the only one that can be meant. */
function exportOf(exported: Record<string, unknown>, name: string | undefined, path: string): unknown {
  if (name !== undefined) {
    if (name in exported) return exported[name]
    const near = suggest(name, Object.keys(exported))
    throw wrong(
      `${path} exports no ${name}${near === undefined ? '' : `, did you mean \`${path}#${near}\`?`}`,
    )
  }
  if (isLikely(exported['default'])) return exported['default']
  const names = Object.keys(exported).filter((each) => isLikely(exported[each]))
  if (names.length === 1) return exported[names[0]!]
  throw wrong(
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
    throw wrong(`${reference} is no projection: export what \`projection({ ... })\` of banyan/events returns`)
  try {
    return projection(found as AnyProjection<unknown>)
  } catch (error) {
    throw wrong(`${reference}: ${(error as Error).message}`, error)
  }
}

function named<Loaded extends LoadedProjection>(loaded: Loaded, name: string, reference: string): Loaded {
  const own = loaded.projection.name
  if (own !== name)
    throw wrong(`${reference} is the projection \`${own}\`, not \`${name}\`; give it the name that it has`)
  return loaded
}

function wrong(message: string, cause?: unknown): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message, cause === undefined ? {} : { cause })
}
