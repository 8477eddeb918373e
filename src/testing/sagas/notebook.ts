import type { Clock } from '../../core/clock.js'
import type {
  AppendResult,
  Commit,
  EventLog,
  RecordedEvent,
  ReadOptions,
  Selector,
} from '../../events/log.js'

/** Told before a commit is written, and after. */
export interface Watch {
  before(commit: Commit): void
  after(commit: Commit): void
}

/**
 * As much of a log as one run of sagas needs, in memory and at once: thousands of runs a second are tried on it. The simulator
 * runs them on real logs.
 */
export class Notebook {
  readonly streams = new Map<string, RecordedEvent[]>()
  readonly log: EventLog
  readonly #clock: Clock
  readonly #watch: Watch
  #position = 0

  constructor(clock: Clock, watch: Watch) {
    this.#clock = clock
    this.#watch = watch
    // What is not here is not asked for by what runs sagas.
    this.log = {
      append: (commit: Commit) => this.#append(commit),
      read: (selector?: Selector, options?: ReadOptions) => this.#read(selector, options),
    } as unknown as EventLog
  }

  /** Appends as somebody else would, whom nothing happens to. */
  write({ streams = [] }: Commit): AppendResult {
    const conflicts = streams.flatMap(({ stream, expected = 'any' }) => {
      const actual = (this.streams.get(stream)?.length ?? 0) - 1
      const isAsExpected =
        expected === 'any' || expected === 'exists' || (expected === 'none' ? -1 : expected) === actual
      return isAsExpected ? [] : [{ stream, expected, actual: actual < 0 ? ('none' as const) : actual }]
    })
    if (conflicts.length > 0) return { ok: false, conflicts }
    const revisions = streams.map(({ stream, events }) => {
      const known = this.streams.get(stream) ?? []
      this.streams.set(stream, known)
      for (const event of events) known.push(this.#recorded(stream, known.length, event))
      return { stream, revision: known.length - 1 }
    })
    return { ok: true, id: '', position: this.#name(), streams: revisions, duplicate: false }
  }

  async #append(commit: Commit): Promise<AppendResult> {
    this.#watch.before(commit)
    await Promise.resolve()
    const result = this.write(commit)
    if (result.ok) this.#watch.after(commit)
    return result
  }

  async *#read(
    { stream = '' }: Selector = {},
    { fromRevision = 0 }: ReadOptions = {},
  ): AsyncGenerator<RecordedEvent> {
    await Promise.resolve()
    yield* (this.streams.get(stream) ?? []).slice(fromRevision)
  }

  #recorded(
    stream: string,
    revision: number,
    { type, data, metadata = {}, id }: { type: string; data?: unknown; metadata?: object; id?: string },
  ): RecordedEvent {
    this.#position++
    const position = this.#name()
    const time = this.#clock.wall()
    return {
      ...{
        id: id ?? position,
        type,
        tags: [],
        schemaVersion: 1,
        time,
        recorded: time,
        stream,
        revision,
        position,
        commit: position,
      },
      // As it would be read from a log.
      data: data === undefined ? undefined : (JSON.parse(JSON.stringify(data)) as unknown),
      metadata: metadata as RecordedEvent['metadata'],
    }
  }

  #name(): string {
    return String(this.#position).padStart(16, '0')
  }
}
