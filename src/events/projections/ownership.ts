import { sleep, type Clock } from '../../core/clock.js'
import type { EventLog, Selector } from '../log.js'
import type { Checkpoint } from './checkpoint.js'

/** How often, in ms, one that stands by looks. */
const LOOK_LEAST_MS = 20
const LOOK_MOST_MS = 1000

/** Whether nobody runs a version; one that has failed is for those who are started anew. */
export function isFree(checkpoint: Checkpoint, isNew: boolean): boolean {
  return checkpoint.owner === '' && (isNew || checkpoint.state !== 'failed')
}

/**
 * Waits while another one runs a version: until it is given up, or its checkpoint has not moved for some time although
 * there is something to do. No heartbeat is written for that: who is slower than this loses nothing but the work of one
 * transaction, as its checkpoint cannot be moved any more.
 *
 * @param look - the present row; undefined if it is gone
 * @param takeover - ms
 * @returns the row to take over, or undefined if it is to be looked at anew
 */
export async function standBy(
  look: () => Promise<Checkpoint | undefined>,
  log: EventLog,
  select: Selector,
  takeover: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Checkpoint | undefined> {
  const pause = Math.min(Math.max(takeover / 8, LOOK_LEAST_MS), LOOK_MOST_MS)
  let seen: number | undefined
  let since = clock.now()
  for (;;) {
    const row = await look()
    if (!row || isFree(row, false)) return undefined
    const stands = row.revision === seen && row.state !== 'failed' && (await isBehind(log, select, row))
    if (!stands) since = clock.now()
    else if (clock.now() - since >= takeover) return row
    seen = row.revision
    await sleep(clock, pause, signal)
  }
}

/** Whether there is something that a checkpoint has not reached. */
async function isBehind(log: EventLog, select: Selector, { position }: Checkpoint): Promise<boolean> {
  for await (const _ of log.read(select, { from: position, limit: 1 })) return true
  return false
}
