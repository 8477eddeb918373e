import { existsSync, readFileSync } from 'node:fs'
import { extname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createJiti } from 'jiti'
import { BanyanError } from '../core/errors.js'
import { fingerprint } from './file-watcher.js'

/** A module of the user's own, in TypeScript or JavaScript. */
export interface UserModule {
  readonly exported: Readonly<Record<string, unknown>>
  /** What was read for it: the module, and what it imports of its own. */
  readonly files: readonly string[]
  /** Of the files as they were read: another one if one of them has changed. */
  readonly fingerprint: string
}

/** Which module, and which of its exports, if that is said. */
export interface ModuleReference {
  /** As it was written. */
  readonly path: string
  readonly file: string
  readonly exportName?: string
}

/** What was loaded last, by file: as long as no file of it changes it stays the same object. */
const kept = new Map<string, UserModule>()

/** Reads a path, with the name of an export behind a `#` if it has several. */
export function referenceOf(text: string): ModuleReference {
  const [, path = '', exportName] = /^(.*?)(?:#([^#/\\]+))?$/s.exec(text) ?? []
  return { path, file: resolve(path), ...(exportName !== undefined && { exportName }) }
}

/**
 * Loads a module; anew if a file of it has changed since. Packages are read once in a process.
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

function isAsItWas({ files, fingerprint: known }: UserModule): boolean {
  return fingerprint(files) === known
}

type Import = (id: string, options?: object) => Promise<unknown>
type Resolve = (id: string) => string | undefined

/** Where modules find how they import others, each as they are evaluated. */
const importing = new Map<string, (own: Import, resolved: Resolve) => Import>()
const HOOK = Symbol.for('banyan.user-module.import')
Object.assign(globalThis, {
  [HOOK]: (file: string, own: Import, resolved: Resolve) => importing.get(file)?.(own, resolved) ?? own,
})

/** ECMAScript modules, which Node would read once in a process. */
const NATIVE = new Set(['.mjs', '.js'])

async function evaluate(
  file: string,
  path: string,
  stale: readonly string[],
): Promise<Pick<UserModule, 'exported' | 'files'>> {
  const plain = createJiti(file)
  const files = new Set([file])
  const jiti = createJiti(file, {
    // Of what is found in a cache nothing would be told.
    fsCache: false,
    transform(options) {
      if (options.filename !== undefined) files.add(options.filename)
      const code = plain.transform(options)
      if (options.async !== true || options.filename === undefined) return { code }
      importing.set(options.filename, importOf)
      const name = JSON.stringify(options.filename)
      return {
        code: `"use strict"; jitiImport = globalThis[Symbol.for("banyan.user-module.import")](${name}, jitiImport, jitiESMResolve); ${code}`,
      }
    },
  })
  const begun = new Map<string, unknown>()
  const load = async (each: string): Promise<unknown> => {
    begun.set(each, undefined)
    const found: unknown = await jiti.evalModule(readFileSync(each, 'utf8'), {
      id: each,
      filename: each,
      ext: extname(each),
      async: true,
      forceTranspile: true,
      cache: jiti.cache,
    })
    begun.set(each, found)
    return found
  }
  const importOf =
    (own: Import, resolved: Resolve): Import =>
    async (id, options) => {
      const url = id.startsWith('.') ? resolved(id) : undefined
      const target = url?.startsWith('file:') === true ? fileURLToPath(url) : url
      if (target === undefined || !NATIVE.has(extname(target))) return own(id, options)
      return begun.get(target) ?? (begun.has(target) ? own(id, options) : load(target))
    }
  const cache: Record<string, unknown> = jiti.cache
  for (const each of [file, ...stale]) Reflect.deleteProperty(cache, each)
  try {
    const exported = (NATIVE.has(extname(file)) ? await load(file) : await jiti.import(file)) as Record<
      string,
      unknown
    >
    return { exported, files: [...files].filter((each) => !/[\\/]node_modules[\\/]/.test(each)) }
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw wrongModule(`cannot load ${path}: ${message}`, error)
  }
}
