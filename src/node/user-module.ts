import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { createJiti } from 'jiti'
import { BanyanError } from '../core/errors.js'
import { fingerprint } from './file-watcher.js'

/** A module of the user's own, in TypeScript or JavaScript. */
export interface UserModule {
  readonly exported: Readonly<Record<string, unknown>>
  /** What was read for it: the module, and what it imports of its own. */
  readonly files: readonly string[]
}

/** Which module, and which of its exports, if that is said. */
export interface ModuleReference {
  /** As it was written. */
  readonly path: string
  readonly file: string
  readonly exportName?: string
}

interface Kept extends UserModule {
  /** Of the files as they were read. */
  readonly fingerprint: string
}

/** What was loaded last, by file: as long as no file of it changes it stays the same object. */
const kept = new Map<string, Kept>()

/** Reads a path, with the name of an export behind a `#` if it has several. */
export function referenceOf(text: string): ModuleReference {
  const [, path = '', exportName] = /^(.*?)(?:#([^#/\\]+))?$/s.exec(text) ?? []
  return { path, file: resolve(path), ...(exportName !== undefined && { exportName }) }
}

/**
 * Loads a module; anew if a file of it has changed since. What Node itself loads (`.mjs`, packages) is read once in a process.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` that says what is wrong with it
 */
export async function loadModule({ file, path }: ModuleReference): Promise<UserModule> {
  const before = kept.get(file)
  if (before && isAsItWas(before)) return before
  if (!existsSync(file)) throw wrongModule(`there is no file ${path}`)
  const { exported, files } = await evaluate(file, path, before?.files ?? [])
  const loaded = { exported, files, fingerprint: fingerprint(files) }
  kept.set(file, loaded)
  return loaded
}

/** What a reference is loaded from, as far as that is known: also if it cannot be loaded. */
export function filesOf(text: string): readonly string[] {
  const { file } = referenceOf(text)
  return [...new Set([file, ...(kept.get(file)?.files ?? [])])]
}

export function wrongModule(message: string, cause?: unknown): BanyanError {
  return new BanyanError('BANYAN_INVALID_OPTIONS', message, cause === undefined ? {} : { cause })
}

function isAsItWas({ files, fingerprint: known }: Kept): boolean {
  return fingerprint(files) === known
}

async function evaluate(file: string, path: string, stale: readonly string[]): Promise<UserModule> {
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
    throw wrongModule(`cannot load ${path}: ${message}`, error)
  }
}
