import { constants, type BigIntStats } from 'node:fs'
import { open, realpath, stat, type FileHandle } from 'node:fs/promises'
import { join, sep } from 'node:path'

/** What is at a path. */
export type Found =
  | { readonly kind: 'file'; readonly handle: FileHandle; readonly stats: BigIntStats }
  | { readonly kind: 'directory' }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'forbidden' }

const NOTHING: Found = { kind: 'nothing' }

/**
 * The names in the path of a URL, each decoded once.
 *
 * @returns `undefined` for a path that no file is told by: one with empty, hidden (`.name`, but `/.well-known`), or not
 *   decodable names, or with separators and NUL inside of a name
 */
export function namesOf(path: string): string[] | undefined {
  const names: string[] = []
  const parts = path.split('/').slice(1)
  for (const [index, part] of parts.entries()) {
    if (part === '' && index === parts.length - 1) break
    const name = decoded(part)
    if (name === undefined || name === '' || /[/\\\0]/.test(name)) return undefined
    if (name.startsWith('.') && !(index === 0 && name === '.well-known')) return undefined
    names.push(name)
  }
  return names
}

/**
 * Opens what a path leads to, if that is really below the root: links may lead within it, not out of it.
 *
 * @param root - real path of a directory
 * @param names - of {@link namesOf}
 * @throws Node's error if the system itself is in trouble (no more file descriptors, a broken disk)
 */
export async function findFile(root: string, names: readonly string[]): Promise<Found> {
  const path = join(root, ...names)
  let handle: FileHandle | undefined
  try {
    // Not to wait for a writer if it is a pipe.
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stats = await handle.stat({ bigint: true })
    const real = await realpath(path)
    const inside = real === root || real.startsWith(root.endsWith(sep) ? root : root + sep)
    // What was opened must be what was checked, should somebody exchange a link meanwhile.
    const checked = inside ? await stat(real, { bigint: true }) : undefined
    if (checked?.ino !== stats.ino || checked.dev !== stats.dev) return await close(handle, NOTHING)
    if (stats.isDirectory()) return await close(handle, { kind: 'directory' })
    return stats.isFile() ? { kind: 'file', handle, stats } : await close(handle, NOTHING)
  } catch (error) {
    await handle?.close()
    switch ((error as NodeJS.ErrnoException).code) {
      case 'ENOENT':
      case 'ENOTDIR':
      case 'ENAMETOOLONG':
      case 'ELOOP':
      case 'ENXIO':
        return NOTHING
      case 'EACCES':
      case 'EPERM':
        return { kind: 'forbidden' }
      default:
        throw error
    }
  }
}

async function close(handle: FileHandle, found: Found): Promise<Found> {
  await handle.close()
  return found
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}
