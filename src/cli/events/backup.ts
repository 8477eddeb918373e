import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { specOf } from '../../drivers/open-log.js'
import { eventError } from '../../events/errors.js'
import type { LogSpec } from '../../events/index.js'
import { interruptible, note } from '../output.js'
import { shortPosition } from './moment.js'
import { nameOf, placeOf, type PlaceOptions } from './place.js'
import { onLog } from './session.js'
import { bytesText, countOf } from './show/numbers.js'

/** `banyan events backup`: a copy of a log that is in use. */
export async function backup(file: string, options: PlaceOptions & { json?: true }): Promise<void> {
  const place = await placeOf(options)
  if ('spec' in place) mustBeSqlite(place.spec)
  await onLog(options, async ({ log, place, output }) => {
    note(`copying ${place.name}`)
    await log.backup(resolve(file))
    const { size } = statSync(file)
    if (options.json) output.json({ log: place.name, file, bytes: size })
    else
      output.add(
        `${file} is a copy of ${place.name}, ${bytesText(size)}; banyan events restore makes a log of it`,
      )
  })
}

/** `banyan events restore`: makes a log of a backup. */
export async function restore(file: string, to: string, { json }: { json?: true }): Promise<void> {
  const spec: LogSpec = /^[a-z+]{2,}:/.test(to) ? specOf(to) : { driver: 'sqlite', path: to }
  mustBeSqlite(spec)
  await interruptible(async (output, signal) => {
    const { restoreSqliteLog } = await import('../../drivers/sqlite/restore.js')
    const restored = await restoreSqliteLog(file, spec.path, { signal })
    const log = nameOf(spec)
    const { events, head } = restored
    if (json) output.json({ log, ...restored })
    else
      output.add(
        `${log} is ${file} again: ${countOf(events, 'event')}, up to position ${shortPosition(head)}`,
      )
  })
}

function mustBeSqlite(spec: LogSpec): asserts spec is Extract<LogSpec, { driver: 'sqlite' }> {
  if (spec.driver === 'sqlite') return
  throw eventError(
    'BANYAN_UNSUPPORTED',
    `backup and restore are for files of SQLite, not for ${nameOf(spec)}` +
      (spec.driver === 'postgres'
        ? '. PostgreSQL brings its own: pg_dump and pg_restore, or continuous archiving'
        : '') +
      '. export and import work with every log',
  )
}
