import { eventId } from '../../events/driver.js'
import type {
  Appended,
  AppendResult,
  Commit,
  Conflict,
  Expected,
  NewEvent,
  Position,
  ReadOptions,
  Selector,
  Truncation,
} from '../../events/log.js'
import { categoryOf } from '../../events/names.js'

/** An event of the model; its position is learned from the log under test. */
export interface ModelEvent extends NewEvent {
  readonly id: string
  readonly stream: string
  readonly revision: number
  readonly commit: string
  position: Position
}

/**
 * What the log must answer to an append; positions come from the log itself. Where an event's id is taken and a stream is
 * not as expected, either may be said.
 */
export type ModelResult = Omit<Appended, 'position'> | Exclude<AppendResult, Appended> | 'overlap' | 'refused'

/** The port in its simplest form: lists and maps, one operation at a time. */
export class Model {
  /** What is there, in order. */
  events: ModelEvent[] = []
  readonly streams = new Map<string, { revision: number; firstRevision: number }>()
  readonly holds = new Map<string, Position>()
  readonly #commits = new Map<string, { content: string; first: Omit<Appended, 'position'> }>()
  readonly #eventIds = new Set<string>()

  revision(stream: string): number | 'none' {
    return this.streams.get(stream)?.revision ?? 'none'
  }

  /** The events that a commit adds are at the end of `events`, still without positions. */
  append(commit: Commit & { id: string }): ModelResult {
    const { id, streams = [], checks = [] } = commit
    const content = JSON.stringify(
      streams.map(({ stream, events }) => [stream, events.map((event) => [event.id, event.type])]),
    )
    const known = this.#commits.get(id)
    if (known) return known.content === content ? { ...known.first, duplicate: true } : 'overlap'
    const given = streams.flatMap(({ events }) => events.flatMap((event) => event.id ?? []))
    const isTaken = given.some((each) => this.#eventIds.has(each))
    const conflicts = [...streams, ...checks]
      .map(({ stream, expected = 'any' }): Conflict => ({ stream, expected, actual: this.revision(stream) }))
      .filter(({ expected, actual }) => !isAsExpected(expected, actual))
    if (isTaken) return conflicts.length > 0 ? 'refused' : 'overlap'
    if (conflicts.length > 0) return { ok: false, conflicts }
    const first = {
      ok: true,
      id,
      duplicate: false,
      streams: streams.map((append) => this.#write(id, append)),
    } as const
    let ordinal = 0
    for (const event of streams.length === 0 ? [] : this.events.slice(-count(commit)))
      if (event.id === '') (event as { id: string }).id = eventId(id, ordinal++)
      else ordinal++
    if (streams.length > 0) this.#commits.set(id, { content, first })
    for (const each of given) this.#eventIds.add(each)
    return first
  }

  #write(
    commit: string,
    { stream, events }: NonNullable<Commit['streams']>[number],
  ): { stream: string; revision: number } {
    const known = this.streams.get(stream) ?? { revision: -1, firstRevision: 0 }
    this.streams.set(stream, known)
    for (const event of events)
      this.events.push({
        ...event,
        id: event.id ?? '',
        stream,
        commit,
        revision: ++known.revision,
        position: '',
      })
    return { stream, revision: known.revision }
  }

  /** @returns also the ids of commits that are not known any more */
  truncate(what: Truncation): { removed: number; held: boolean; forgotten: readonly string[] } {
    const forget = 'stream' in what && what.forget === true
    const hold = (forget ? undefined : [...this.holds.values()].sort()[0]) ?? '~'
    const wanted = this.events.filter((event) => {
      if ('stream' in what) return event.stream === what.stream && event.revision < what.beforeRevision
      return (
        event.position <= what.upTo && (!('category' in what) || categoryOf(event.stream) === what.category)
      )
    })
    const removed = new Set(wanted.filter(({ position }) => position <= hold))
    for (const { stream, revision } of removed) this.streams.get(stream)!.firstRevision = revision + 1
    this.events = this.events.filter((event) => !removed.has(event))
    const forgotten = forget ? this.#forget([...removed]) : []
    return { removed: removed.size, held: removed.size < wanted.length, forgotten }
  }

  #forget(removed: readonly ModelEvent[]): string[] {
    for (const { id } of removed) this.#eventIds.delete(id)
    const ended = removed.filter(({ commit, revision }) => {
      const { streams } = this.#commits.get(commit)!.first
      return streams.length === 1 && streams[0]!.revision === revision
    })
    for (const { commit } of ended) this.#commits.delete(commit)
    return ended.map(({ commit }) => commit)
  }

  read(selector: Selector, options: ReadOptions): ModelEvent[] {
    const { stream, category, tags = [], types } = selector
    const {
      from = '0',
      to = '~',
      fromRevision = 0,
      toRevision = Infinity,
      limit = Infinity,
      backwards,
    } = options
    const found = this.events.filter(
      (event) =>
        event.position > from &&
        event.position <= to &&
        event.revision >= fromRevision &&
        event.revision <= toRevision &&
        (stream === undefined || event.stream === stream) &&
        (category === undefined || categoryOf(event.stream) === category) &&
        tags.every((tag) => event.tags?.includes(tag)) &&
        (!types || types.includes(event.type)),
    )
    return (backwards ? found.reverse() : found).slice(0, limit)
  }
}

/** How many events a commit has. */
export function count({ streams = [] }: Commit): number {
  return streams.reduce((sum, { events }) => sum + events.length, 0)
}

function isAsExpected(expected: Expected, actual: number | 'none'): boolean {
  if (expected === 'any') return true
  return expected === 'exists' ? actual !== 'none' : expected === actual
}
