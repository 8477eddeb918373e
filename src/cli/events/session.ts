import { existsSync } from 'node:fs'
import { BanyanError } from '../../core/errors.js'
import { fileOf } from '../../drivers/sqlite/connect.js'
import { openDriver } from '../../drivers/open-log.js'
import { DriverLog, type LogOptions } from '../../events/event-log.js'
import type { EventLog } from '../../events/log.js'
import { loadTypes } from '../../node/events/known-types.js'
import type { EventsSpec } from '../../node/spec.js'
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
 * @param options.appends - whether it appends: a log that is not there is made, and `limits` and `types` of the
 *   configuration count. Default false: what is there is shown as it is, and a mistyped path is a mistake.
 * @param options.endless - whether it goes on until Ctrl-C. Default false.
 */
export async function onLog(
  where: PlaceOptions,
  work: (session: Session) => Promise<void>,
  { appends = false, endless = false }: { appends?: boolean; endless?: boolean } = {},
): Promise<void> {
  const place = await placeOf(where, { looks: !appends })
  if (place.by === 'BANYAN_LOG') note(`${place.name}, from BANYAN_LOG`)
  await interruptible(async (output, signal) => {
    await using log = await open(place, appends)
    await work({ log, place, output, signal }).finally(() => output.flush())
  }, endless)
}

async function open(place: Place, appends: boolean): Promise<EventLog> {
  if ('admin' in place) return (await import('./node-log/index.js')).nodeLog(place.admin)
  const { spec, events } = place
  // A log is made where there is none, so a mistyped path would be read as an empty one.
  if (!appends && spec.driver === 'sqlite' && !existsSync(fileOf(spec.path)))
    throw new BanyanError(
      'BANYAN_LOG_UNAVAILABLE',
      `there is no event log at ${place.name} (${place.by}); banyan events append and import make one`,
    )
  // Not by openLog: with it come all patterns of the plane, and loading them takes longer than most commands.
  return new DriverLog(await openDriver(spec), appends && events ? await appendOptionsOf(events) : {})
}

/** What a node with this log would refuse is refused here too. */
async function appendOptionsOf(events: EventsSpec): Promise<LogOptions> {
  const types = await loadTypes(events)
  return { ...events.limits, ...(types?.write && { transforms: [{ write: types.write.bind(types) }] }) }
}
