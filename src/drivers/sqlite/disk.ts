import type { Database } from 'better-sqlite3'
import { closeSync, fsyncSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'

/** On macOS a plain fsync leaves what is written in the cache of the disk; elsewhere this changes nothing. */
export function flushFully(db: Database): void {
  db.pragma('fullfsync = ON')
  db.pragma('checkpoint_fullfsync = ON')
}

/** Makes a directory, and those above it, so that they survive a loss of power. */
export function makeDirectory(directory: string): void {
  const made = mkdirSync(directory, { recursive: true })
  if (made === undefined) return
  for (let path = directory; path.length >= made.length; path = dirname(path)) syncDirectory(dirname(path))
}

/** Makes the names in a directory survive a loss of power. */
export function syncDirectory(directory: string): void {
  // Windows opens no directory, and needs none of it.
  if (process.platform === 'win32') return
  const fd = openSync(directory, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}
