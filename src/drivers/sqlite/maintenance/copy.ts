import type { Database } from 'better-sqlite3'
import { closeSync, existsSync, fsyncSync, linkSync, openSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { BanyanError } from '../../../core/errors.js'
import { syncDirectory } from '../disk.js'

/**
 * Copies a log that is in use, as it is at this moment, into a new file. The file has its name only when all of it is on
 * the disk.
 *
 * @throws `BANYAN_INVALID_OPTIONS` if the file is there
 */
export function copyInto(db: Database, to: string): void {
  if (existsSync(to)) throw occupied(to)
  const part = `${to}.part`
  rmSync(part, { force: true })
  try {
    db.prepare('VACUUM INTO ?').run(part)
    publish(part, to)
  } finally {
    rmSync(part, { force: true })
  }
}

/** Gives a finished file its name, unless something has that name, and makes both survive the loss of power. */
export function publish(part: string, to: string): void {
  const fd = openSync(part, 'r+')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  try {
    linkSync(part, to)
  } catch (error) {
    throw existsSync(to) ? occupied(to) : error
  }
  rmSync(part)
  syncDirectory(dirname(to))
}

export function occupied(to: string): Error {
  return new BanyanError(
    'BANYAN_INVALID_OPTIONS',
    `${to} is there already; nothing was overwritten. Name a file that does not exist yet`,
  )
}
