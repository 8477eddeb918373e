import { sleep, type Clock } from '../../core/clock.js'
import type { EventLog, Position, Selector } from '../log.js'
import { isSystemStream } from '../transform.js'
import { isGone } from '../owner.js'
import type { Checkpoint } from './checkpoint.js'
import type { AnyProjection } from './projection.js'

/** How often, in ms, one that stands by looks. */
const LOOK_LEAST_MS = 20
const LOOK_MOST_MS = 1000

/** Whether nobody runs a version; one that has failed is for those who are started anew. */
export function isFree(checkpoint: Checkpoint, isNew: boolean): boolean {
  return checkpoint.owner === '' && (isNew || checkpoint.state !== 'failed')
}

/** Whether somebody runs a version, as far as is known. */
export function isRun({ owner }: Pick<Checkpoint, 'owner'>): boolean {
  return owner !== '' && !isGone(owner)
}

/** What one that stands by sees of a version. */
export interface Sight {
  readonly row: Checkpoint
  /** The cursor of its side effects, if it has some and is the active one. */
  readonly effects: Checkpoint | undefined
}

/**
 * Waits while another one runs a version: until it is given up, its process on this machine has ended, or it has
 * not gone on for some time although there is something to do. No heartbeat is written for that: who is slower than this loses nothing but the work of one
 * transaction, as its checkpoint cannot be moved any more.
 *
 * @param look - what is there now; undefined if the version is gone
 * @param isBehind - whether there is something to do
 * @param takeover - ms
 * @returns the row to take over, or undefined if it is to be looked at anew
 */
export async function standBy(
  look: () => Promise<Sight | undefined>,
  isBehind: (sight: Sight) => Promise<boolean>,
  takeover: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<Checkpoint | undefined> {
  const pause = Math.min(Math.max(takeover / 8, LOOK_LEAST_MS), LOOK_MOST_MS)
  let seen: string | undefined
  let since = clock.now()
  for (;;) {
    const sight = await look()
    if (!sight || isFree(sight.row, false)) return undefined
    const { row, effects } = sight
    if (!isRun(row)) return row
    const now = `${row.revision} ${effects?.revision ?? ''}`
    const stands = now === seen && row.state !== 'failed' && (await isBehind(sight))
    if (!stands) since = clock.now()
    else if (clock.now() - since >= takeover) return row
    seen = now
    await sleep(clock, pause, signal)
  }
}

/** Whether a version, or its side effects, have not come to everything that is there for them. */
export async function isBehind(
  log: EventLog,
  { select, effects }: Pick<AnyProjection<never>, 'select' | 'effects'>,
  sight: Sight,
): Promise<boolean> {
  if (await hasMore(log, select, sight.row.position)) return true
  if (!sight.effects || !effects) return false
  return hasMore(log, { ...select, types: Object.keys(effects) }, sight.effects.position)
}

async function hasMore(log: EventLog, select: Selector, from: Position): Promise<boolean> {
  for await (const { stream } of log.read(select, { from, faults: 'give' }))
    if (!isSystemStream(stream)) return true
  return false
}
