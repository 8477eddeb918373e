import { constants, copyFileSync, existsSync, mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import { BanyanError } from '../../core/errors.js'
import { eventError } from '../../events/errors.js'
import type { Position } from '../../events/log.js'
import { formatPosition } from '../../events/position.js'
import { fileOf, loadSqlite } from './connect.js'
import { faultOf } from './faults.js'
import { formatOf } from './format.js'
import { headFileOf } from './head-file.js'
import { occupied, publish } from './maintenance/copy.js'
import { run } from './maintenance/run.js'

/** What {@link restoreSqliteLog} has made. */
export interface Restored {
  /** The file of the log. */
  readonly file: string
  /** Where it ends; consumers that are behind this position have seen events that are not there any more. */
  readonly head: Position
  readonly events: number
}

/**
 * Makes a log of a backup. The copy is checked before it gets its name; what is wrong with it is an error, and nothing is
 * there.
 *
 * @param from - a file that `backup` has made
 * @param to - path of the log, as it is opened: a directory, or a file whose name ends in `.db`; no log may be there
 * @throws `BANYAN_INVALID_OPTIONS` if a log is there, or the backup is not; `BANYAN_LOG_CORRUPT` or `BANYAN_LOG_FORMAT` if
 *   the backup is no log that can be used
 */
export async function restoreSqliteLog(
  from: string,
  to: string,
  options: { signal?: AbortSignal } = {},
): Promise<Restored> {
  const file = fileOf(to)
  checkPlaces(from, file)
  const sqlite = await loadSqlite()
  const part = `${file}.part`
  mkdirSync(dirname(file), { recursive: true })
  removeAll(part)
  try {
    copyFileSync(from, part, constants.COPYFILE_FICLONE)
    const db = new sqlite(part)
    let state
    try {
      if (formatOf(db, from) === 0)
        throw eventError('BANYAN_LOG_CORRUPT', `${from} is empty; it is no backup`)
      // Of whatever mode it was: checking it shall leave no other files.
      db.pragma('journal_mode = DELETE')
      state = db.prepare<[], { head: number; events: number }>('SELECT head, events FROM log').get()!
    } finally {
      db.close()
    }
    for await (const { message } of run({ kind: 'check', file: part }, options.signal ?? NEVER))
      throw eventError('BANYAN_LOG_CORRUPT', `${from} is damaged: ${message}. Nothing was restored`)
    publish(part, file)
    return { file, head: formatPosition(state.head), events: state.events }
  } catch (error) {
    throw faultOf(error, from)
  } finally {
    removeAll(part)
  }
}

const NEVER = new AbortController().signal

function checkPlaces(from: string, file: string): void {
  if (!existsSync(from))
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `there is no backup at ${from}; nothing was restored`)
  if (existsSync(`${from}-wal`))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${from} is in use, or was when its process ended, and is no backup; make one with \`banyan events backup\``,
    )
  for (const path of [file, `${file}-wal`, headFileOf(file)]) if (existsSync(path)) throw occupied(path)
}

function removeAll(part: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(`${part}${suffix}`, { force: true })
}
