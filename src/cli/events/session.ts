import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BanyanError } from '../../core/errors.js'
import { openLog, type EventLog } from '../../events/index.js'
import { interruptible, note, type Output } from '../output.js'
import { placeOf, type Place, type PlaceOptions } from './place.js'

/** What a command on a log has. */
export interface Session {
  readonly log: EventLog
  readonly place: Place
  readonly output: Output
  /** Aborts on Ctrl-C, and when nobody reads what is written. */
  readonly signal: AbortSignal
}

/**
 * Opens the log, works on it, and closes it however that ends; see {@link interruptible}.
 *
 * @param options.create - whether a log that is not there is made. Default false: a mistyped path is a mistake.
 * @param options.endless - whether it goes on until Ctrl-C. Default false.
 */
export async function onLog(
  where: PlaceOptions,
  work: (session: Session) => Promise<void>,
  { create = false, endless = false }: { create?: boolean; endless?: boolean } = {},
): Promise<void> {
  const place = await placeOf(where)
  if (place.by === 'BANYAN_LOG') note(`${place.name}, from BANYAN_LOG`)
  await interruptible(async (output, signal) => {
    await using log = await open(place, create)
    await work({ log, place, output, signal })
    await output.flush()
  }, endless)
}

async function open(place: Place, create: boolean): Promise<EventLog> {
  if ('admin' in place) return (await import('./node-log/index.js')).nodeLog(place.admin)
  const { spec, limits } = place
  // A log is made where there is none, so a mistyped path would be read as an empty one.
  if (!create && spec.driver === 'sqlite' && !existsSync(fileOf(spec)))
    throw new BanyanError(
      'BANYAN_LOG_UNAVAILABLE',
      `there is no event log at ${place.name} (${place.by}); banyan events append and import make one`,
    )
  return openLog(spec, limits)
}

/** Where the file is, as the driver has it. */
function fileOf({ path }: { path: string }): string {
  return path.endsWith('.db') ? path : join(path, 'events.db')
}
