import type { EventLog, Position } from '../../log.js'
import { isSystemStream } from '../../transform.js'
import type { Counted } from './lag.js'
import { subscriptions } from './subscriptions.js'

/** A topic of a log: a category of its streams. */
export interface TopicInfo {
  /** `*` for those subscriptions that follow every topic. */
  readonly topic: string
  /** Names of the subscriptions that follow it, without those that follow every topic. */
  readonly subscriptions: readonly string[]
  /** Keys that something was published with, and streams that event-sourced code has written. */
  readonly streams: Counted
  readonly events: Counted
  /** Its last event; undefined if there is none. */
  readonly last?: { readonly position: Position; readonly type: string; readonly recorded: number }
}

/** Options of {@link topics}. */
export interface TopicsOptions {
  /** How many streams of each topic are counted. Default 1,000. */
  streams?: number
  signal?: AbortSignal
}

/** Behind every stream of a category, in the order of their names. */
const LAST_CHARACTER = '\u{10ffff}'

/**
 * The topics of a log, by name: categories in which there is something, and those that subscriptions wait for. What that
 * costs goes with the number of topics, not with that of streams.
 */
export async function* topics(
  log: EventLog,
  { streams = 1000, signal }: TopicsOptions = {},
): AsyncGenerator<TopicInfo, void, undefined> {
  const followers = new Map<string, string[]>()
  const stopping = signal ? { signal } : {}
  for await (const { name, topic } of subscriptions(log).list(stopping))
    followers.set(topic, [...(followers.get(topic) ?? []), name])
  const names = new Set(followers.keys())
  for await (const category of categoriesOf(log, signal)) if (!isSystemStream(category)) names.add(category)
  for (const topic of [...names].sort()) {
    signal?.throwIfAborted()
    yield {
      topic,
      subscriptions: followers.get(topic) ?? [],
      ...(topic === '*' ? NOTHING : await contentsOf(log, topic, streams)),
    }
  }
}

const NOTHING = { streams: { count: 0, isComplete: true }, events: { count: 0, isComplete: true } }

/** Goes from one category to the next, past all streams between. */
async function* categoriesOf(
  log: EventLog,
  signal: AbortSignal | undefined,
): AsyncGenerator<string, void, undefined> {
  for (let after = ''; ;) {
    const options = { limit: 1, ...(after !== '' && { after }), ...(signal && { signal }) }
    let next: { stream: string; category: string } | undefined
    for await (const info of log.streams(options)) next = info
    if (!next) return
    const { stream, category } = next
    yield category
    const last = `${category}-${LAST_CHARACTER}`
    // Names such as `order!` stand between `order` and `order-1`.
    after = stream === category || stream >= last ? stream : last
  }
}

async function contentsOf(
  log: EventLog,
  category: string,
  limit: number,
): Promise<Pick<TopicInfo, 'streams' | 'events' | 'last'>> {
  let streams = 0
  let events = 0
  for await (const { revision, firstRevision } of log.streams({ category, limit })) {
    streams++
    events += revision - firstRevision + 1
  }
  const isComplete = streams < limit
  const counted = { streams: { count: streams, isComplete }, events: { count: events, isComplete } }
  for await (const { position, type, recorded } of log.read(
    { category },
    { backwards: true, limit: 1, faults: 'give' },
  ))
    return { ...counted, last: { position, type, recorded } }
  return counted
}
