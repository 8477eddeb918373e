import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { EventLog, RecordedEvent } from '../log.js'
import { changed, describeVersion, fromRow, toRow } from './checkpoint.js'
import { Handling, reasonOf } from './handling.js'
import type { RunSettings } from './options.js'
import { countParked, parkedRows } from './parking.js'
import { namesOfRows } from './parts.js'
import type { AnyProjection } from './projection.js'
import { MovedError, type ParkedRow, type ReadModelStore } from './store.js'

/** What came of trying what was parked. */
export interface Redriven {
  /** Events that are in the read model now. */
  readonly handled: number
  /** Events that are still parked. */
  readonly left: number
  /** The first that failed of each key. */
  readonly failures: readonly { readonly key: string; readonly reason: string }[]
}

/**
 * Tries parked events again, those of a key in their order; at the first that fails, its key stays parked. Each goes into
 * the read model and out of the parked ones in one transaction, while the projection runs, here or elsewhere.
 */
async function redrive<Db>(
  projection: AnyProjection<Db>,
  store: ReadModelStore<Db>,
  log: EventLog,
  runtime: Runtime,
  settings: RunSettings,
  key: string | undefined,
): Promise<Redriven> {
  const { name, version } = projection
  const signal = settings.signal ?? new AbortController().signal
  const handling = new Handling(projection, log, settings.timeout, runtime.clock, signal)
  const failures = new Map<string, string>()
  let handled = 0
  for await (const row of parkedRows(store, name, version)) {
    signal.throwIfAborted()
    if (failures.has(row.key) || (key !== undefined && row.key !== key)) continue
    try {
      const event = await eventOf(row, log)
      if (await transact(row, store, runtime, (db) => handling.handle(db, [event], Infinity))) handled++
    } catch (error) {
      failures.set(row.key, reasonOf(error))
      const failed = {
        ...row,
        attempts: row.attempts + 1,
        reason: reasonOf(error),
        time: runtime.clock.wall(),
      }
      await transact(row, store, runtime, () => undefined, failed)
    }
  }
  const left = await countParked(store, name, version)
  return { handled, left, failures: [...failures].map(([key, reason]) => ({ key, reason })) }
}

/** The same of a projection with buckets, too: one bucket after the other. */
export async function redriveAll<Db>(...given: Parameters<typeof redrive<Db>>): Promise<Redriven> {
  const [projection, store, ...rest] = given
  const all = []
  for (const name of await namesOfRows(store, projection.name, projection.version))
    all.push(await redrive({ ...projection, name }, store, ...rest))
  return {
    handled: all.reduce((sum, { handled }) => sum + handled, 0),
    left: all.reduce((sum, { left }) => sum + left, 0),
    failures: all.flatMap(({ failures }) => failures),
  }
}

/**
 * Does something about a parked event, and moves the row of the version on, so that whoever runs it sees what is parked.
 *
 * @param stays - what stays parked; by default nothing
 * @returns false if somebody else has dealt with it
 */
async function transact<Db>(
  parked: ParkedRow,
  store: ReadModelStore<Db>,
  { clock }: Runtime,
  work: (db: Db) => unknown,
  stays?: ParkedRow,
): Promise<boolean> {
  const { name, version, key, position } = parked
  for (;;) {
    try {
      return await store.write(async (transaction) => {
        const row = await transaction.lock(name, version)
        if (!row) return false
        const [first] = await transaction.parked(name, version, { key, limit: 1 })
        if (first?.position !== position) return false
        await work(transaction.db)
        if (stays) await transaction.park(stays)
        else await transaction.unpark(name, version, position)
        await transaction.put(toRow(changed(fromRow(row), clock.wall(), {})), row.revision)
        return true
      })
    } catch (error) {
      if (!(error instanceof MovedError)) throw error
    }
  }
}

/** The event as the log has it, in the form that this program reads. */
async function eventOf({ stream, position, ...row }: ParkedRow, log: EventLog): Promise<RecordedEvent> {
  for await (const event of log.read({ stream }, { to: position, backwards: true, limit: 1 }))
    if (event.position === position) return event
  throw eventError(
    'BANYAN_HISTORY_TRUNCATED',
    `the event of ${stream} at position ${position}, which is parked by ${describeVersion(row)}, was truncated`,
  )
}
