import type { EventLog, Position, ReadOptions, Selector } from '../../log.js'
import type { Lane } from '../lanes/lane.js'
import { laneName } from '../lanes/lane.js'
import type { LogMessage, Partition } from '../lanes/partition.js'
import type { Settings } from '../options.js'
import { partitionOf, routeOf } from './route.js'

/** Messages that are read for one lane at once. */
const LANE_MESSAGES = 64
/** Lanes that are looked for in one pass through the log. */
const SCAN_LANES = 256

/** A lane that waits for its messages. */
export interface Hungry {
  readonly lane: Lane
  readonly partition: Partition
  /** Of how many partitions this is which. */
  readonly index: number
}

/** What is read for a lane. */
class Portion {
  readonly hungry: Hungry
  readonly upTo: Position
  readonly messages: LogMessage[] = []
  isMore = false
  #before: Position

  constructor(hungry: Hungry) {
    const { lane, partition } = hungry
    this.hungry = hungry
    partition.feeding(lane)
    this.upTo = partition.fetched
    this.#before = lane.record!.after
  }

  /** @returns whether it wants more */
  offer({ event, fault }: Omit<LogMessage, 'before'>): boolean {
    if (event.position <= this.#before || event.position > this.upTo) return true
    this.isMore = this.messages.length === LANE_MESSAGES
    if (this.isMore) return false
    this.messages.push({ event, fault, before: this.#before })
    this.#before = event.position
    return true
  }

  feed(): void {
    this.hungry.partition.fed(this.hungry.lane, this.messages, this.isMore)
  }
}

/**
 * Reads what waits in the log for lanes that have nothing of it in memory: for the first of them, or, where that takes a
 * pass through the log, for many at once.
 *
 * @returns those that were served
 */
export async function refill(
  log: EventLog,
  settings: Settings,
  partitions: number,
  hungry: readonly Hungry[],
  signal: AbortSignal,
): Promise<readonly Hungry[]> {
  const first = hungry[0]!
  const alone = placeOf(first.lane, settings)
  const served = alone ? [first] : hungry.filter(({ lane }) => !placeOf(lane, settings)).slice(0, SCAN_LANES)
  const portions = new Map(served.map((one) => [nameOf(one), new Portion(one)]))
  const open = new Set(portions.values())
  const { selector, options } = alone ?? { selector: settings.selector, options: reach(portions.values()) }
  const reading = log.read(selector, { ...options, faults: 'give', signal })
  for await (const event of reading) {
    const route = routeOf(event, settings)
    if (!route) continue
    const portion = alone
      ? portions.get(nameOf(first))
      : portions.get(
          nameOf({
            lane: laneName(route.key, event.position),
            index: partitionOf(route.key ?? event.id, partitions, settings),
          }),
        )
    if (portion && !portion.offer({ event, fault: route.fault })) open.delete(portion)
    if (open.size === 0) break
  }
  for (const portion of portions.values()) portion.feed()
  return served
}

/** Where alone the messages of a lane are; undefined if they may be anywhere. */
function placeOf(
  { key, record }: Lane,
  settings: Settings,
): { selector: Selector; options: ReadOptions } | undefined {
  const { types, tags } = settings.selector
  const rest = { ...(types && { types }), ...(tags && { tags }) }
  if (key === undefined) {
    const { stream, revision } = record!.head ?? { stream: settings.topic, revision: 0 }
    return {
      selector: { ...rest, stream },
      // Skipped, it has no message any more.
      options: record!.head ? { fromRevision: revision, toRevision: revision } : { limit: 0 },
    }
  }
  return settings.key ? undefined : { selector: { ...rest, stream: key }, options: { from: record!.after } }
}

/** The part of the log that all of them need. */
function reach(portions: Iterable<Portion>): ReadOptions {
  let from: Position | undefined
  let to: Position | undefined
  for (const { hungry, upTo } of portions) {
    const { after } = hungry.lane.record!
    if (from === undefined || after < from) from = after
    if (to === undefined || upTo > to) to = upTo
  }
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) }
}

function nameOf({ lane, index }: { lane: string | Lane; index: number }): string {
  return `${index} ${typeof lane === 'string' ? lane : lane.name}`
}
