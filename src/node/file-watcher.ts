import { createHash } from 'node:crypto'
import { readFileSync, realpathSync, watch, type FSWatcher } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Clock, Timer } from '../core/clock.js'

/** How long the files must stay the same before a change of them counts, in ms. */
const SETTLED_MS = 100

/**
 * Tells when the content of files has changed and has come to rest. Watches their folders, as editors and Kubernetes
 * do not write a file but put another in its place; what counts is the content, not the time of the file.
 */
export class FileWatcher {
  readonly #clock: Clock
  readonly #onChange: () => void
  readonly #onTrouble: (error: Error) => void
  readonly #folders = new Map<string, FSWatcher>()
  #files: readonly string[] = []
  /** Of the content that was told of last. */
  #known = ''
  /** Of a content that may not be complete yet. */
  #seen: string | undefined = undefined
  #timer: Timer | undefined = undefined

  /**
   * @param onChange - called once for each change
   * @param onTrouble - gets the error if a folder cannot be watched
   */
  constructor(clock: Clock, onChange: () => void, onTrouble: (error: Error) => void) {
    this.#clock = clock
    this.#onChange = onChange
    this.#onTrouble = onTrouble
  }

  /** Watches these files from now on, in place of those before. */
  watch(files: readonly string[]): void {
    const absolute = [...new Set(files.map((file) => resolve(file)))].sort()
    const folders = new Set(absolute.flatMap(foldersOf))
    for (const [folder, watcher] of this.#folders) {
      if (folders.has(folder)) continue
      watcher.close()
      this.#folders.delete(folder)
    }
    for (const folder of folders) if (!this.#folders.has(folder)) this.#watchFolder(folder)
    if (absolute.join('\0') === this.#files.join('\0')) return
    this.#files = absolute
    this.#known = fingerprint(absolute)
  }

  close(): void {
    this.#timer?.cancel()
    for (const watcher of this.#folders.values()) watcher.close()
    this.#folders.clear()
  }

  #watchFolder(folder: string): void {
    try {
      const watcher = watch(folder, { persistent: false }, () => this.#look())
      watcher.on('error', (error) => {
        watcher.close()
        this.#folders.delete(folder)
        this.#onTrouble(error)
      })
      this.#folders.set(folder, watcher)
    } catch (error) {
      this.#onTrouble(error as Error)
    }
  }

  /** Looks once more a little later, however much happens in the folder. */
  #look(): void {
    this.#timer ??= this.#clock.schedule(this.#clock.now() + SETTLED_MS, () => {
      this.#timer = undefined
      const now = fingerprint(this.#files)
      if (now === this.#known) {
        this.#seen = undefined
      } else if (now === this.#seen) {
        this.#seen = undefined
        this.#known = now
        this.#onChange()
      } else {
        this.#seen = now
        this.#look()
      }
    })
  }
}

/** Where a file stands, and where it really is if that is a link. */
function foldersOf(file: string): string[] {
  try {
    return [dirname(file), dirname(realpathSync(file))]
  } catch {
    return [dirname(file)]
  }
}

/** The same as long as the content of all files is. */
export function fingerprint(files: readonly string[]): string {
  const hash = createHash('sha256')
  for (const file of files) {
    hash.update(file)
    try {
      hash.update(readFileSync(file))
    } catch (error) {
      hash.update((error as NodeJS.ErrnoException).code ?? 'unreadable')
    }
  }
  return hash.digest('hex')
}
