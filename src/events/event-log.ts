import { bytes, type Bytes } from '../core/bytes.js'
import { sleep } from '../core/clock.js'
import { checkOptions, type OptionTable } from '../core/options.js'
import { systemRuntime, type Runtime } from '../core/runtime.js'
import { decodeEvent } from './decode.js'
import type { EncodedCommit, LogDriver, Outcome, Page } from './driver.js'
import { encodeCommit, type Limits } from './encode.js'
import { keepEngine } from './engine.js'
import { eventError, isPassing } from './errors.js'
import { GroupCommit } from './group-commit.js'
import { LogInstruments } from './instruments.js'
import type {
  AppendResult,
  Batch,
  Capabilities,
  Commit,
  Conflicted,
  EventLog,
  EventShape,
  Finding,
  FollowOptions,
  LogStats,
  PendingEvent,
  Position,
  ReadOptions,
  Recorded,
  RecordedEvent,
  Selector,
  StreamAppend,
  StreamInfo,
  StreamsOptions,
  TransactionAppender,
  TransactionResult,
  TruncateResult,
  Truncation,
  VerifyOptions,
} from './log.js'
import { checkName, MAX_STREAM_BYTES } from './names.js'
import { checkPosition, checkStreamsOptions, checkTime, checkTruncation } from './places.js'
import { followedPart, limitOf, queryOf, startOf, type Part } from './query.js'
import { OwnCommits } from './own-commits.js'
import { START } from './position.js'
import { ReadAhead } from './read-ahead.js'
import {
  newestVersionOf,
  storedTypesOf,
  transformRead,
  transformStreams,
  type EventTransform,
} from './transform.js'
import { Turns } from '../core/turns.js'

/** Options of {@link openLog}. */
export interface LogOptions {
  /** Between the events of the application and those of the log, such as `eventTypes` and `personalData`. Default none. */
  transforms?: readonly EventTransform[]
  /** The largest data and metadata of one event; default `'16MB'`. */
  eventBytes?: Bytes
  /** The largest commit; default `'64MB'`. */
  commitBytes?: Bytes
  /** The most events in a commit; default 10,000. */
  commitEvents?: number
  /** How many appends may wait for the engine before the next is refused; default 100,000. */
  waitingCommits?: number
  /** How many bytes of appends may wait for the engine before the next is refused; default `'256MB'`. */
  waitingBytes?: Bytes
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<LogOptions> = {
  transforms: {
    kind: 'list',
    of: { kind: 'code', type: 'object', doc: 'a transform' },
    doc: 'between application and log',
  },
  eventBytes: sizeOption('the largest data and metadata of one event'),
  commitBytes: sizeOption('the largest commit'),
  commitEvents: { kind: 'number', min: 1, integer: true, doc: 'the most events in a commit' },
  waitingCommits: { kind: 'number', min: 1, integer: true, doc: 'how many appends may wait' },
  waitingBytes: sizeOption('how many bytes of appends may wait'),
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

function sizeOption(doc: string): OptionTable<LogOptions>['eventBytes'] {
  return {
    kind: 'either',
    of: [
      { kind: 'number', min: 1, doc },
      { kind: 'string', doc },
    ],
    doc,
  }
}

const PAGE_EVENTS = 512
/** How often, in ms, a follower is told that it has passed events that it did not select: so that what it holds can go. */
const PROGRESS_MS = 1000
const LIST_STREAMS = 1000
/** Between tries of a follower whose engine cannot be reached, in ms. */
const RETRY_FIRST_MS = 50
const RETRY_LAST_MS = 2000

/** The event log over a driver: everything that is the same whatever the engine. */
export class DriverLog implements EventLog {
  readonly capabilities: Capabilities
  readonly #driver: LogDriver
  readonly #group: GroupCommit
  readonly #limits: Limits
  readonly #runtime: Runtime
  readonly #instruments: LogInstruments
  readonly #transforms: readonly EventTransform[]
  /** Whether a type is not always shown as it is stored. */
  readonly #renames: boolean
  readonly #turns: Turns
  readonly #own: OwnCommits | undefined
  readonly #closing = new AbortController()
  /** Resolves when the last append that goes through transforms was handed over. */
  #lastTurn: Promise<void> = Promise.resolve()
  #closed: Promise<void> | undefined

  constructor(driver: LogDriver, options: LogOptions = {}) {
    checkOptions('openLog', OPTIONS, options)
    this.#driver = driver
    keepEngine(this, driver)
    this.capabilities = driver.capabilities
    this.#runtime = options.runtime ?? systemRuntime
    this.#transforms = options.transforms ?? []
    this.#renames = this.#transforms.some((transform) => transform.storedTypes !== undefined)
    this.#turns = new Turns(this.#runtime.clock)
    if (driver.consecutive) this.#own = new OwnCommits(this.#runtime.clock)
    this.#limits = {
      eventBytes: bytes(options.eventBytes ?? '16MB', 'eventBytes'),
      commitBytes: bytes(options.commitBytes ?? '64MB', 'commitBytes'),
      commitEvents: options.commitEvents ?? 10_000,
    }
    this.#instruments = new LogInstruments(
      this.#runtime,
      driver.capabilities.driver,
      () => this.#group.waiting,
    )
    this.#group = new GroupCommit(
      driver,
      {
        commits: options.waitingCommits ?? 100_000,
        bytes: bytes(options.waitingBytes ?? '256MB', 'waitingBytes'),
      },
      this.#instruments.groupSize,
      this.#own,
    )
  }

  get transformed(): boolean {
    return this.#transforms.length > 0
  }

  newestVersion(type: string): number | undefined {
    return newestVersionOf(this.#transforms, type)
  }

  async asRead(append: StreamAppend): Promise<readonly PendingEvent[]> {
    const encoded = await this.#encodeTransformed({ streams: [append] })
    return this.#pendingOf(encoded, [encoded.events - 1])
  }

  async append(commit: Commit): Promise<AppendResult> {
    if (this.#transforms.length === 0) return this.#append(this.#encode(commit))
    // Transforms take the time they take; appends stay in the order in which they were made.
    const before = this.#lastTurn
    let passOn = (): void => undefined
    this.#lastTurn = new Promise((resolve) => (passOn = resolve))
    const [encoded] = await Promise.allSettled([this.#encodeTransformed(commit), before])
    const result =
      encoded.status === 'fulfilled' ? this.#append(encoded.value) : Promise.reject(encoded.reason as Error)
    passOn()
    return result
  }

  within(transaction: unknown, { events = false }: { events?: boolean } = {}): TransactionAppender {
    const driver = this.#driver
    if (!driver.appendWithin)
      throw eventError(
        'BANYAN_UNSUPPORTED',
        `the ${this.capabilities.driver} driver cannot append inside a transaction`,
      )
    return {
      append: async (commit): Promise<TransactionResult> => {
        this.#mustBeOpen()
        const encoded = await this.#encodeTransformed(commit)
        const outcome = await driver.appendWithin!(transaction, encoded)
        if (outcome.kind !== 'appended') return refused(encoded, outcome)
        const { duplicate, revisions } = outcome
        const result = {
          ok: true,
          id: encoded.id,
          streams: revisionsOf(encoded, revisions),
          duplicate,
        } as const
        return events
          ? { ...result, events: duplicate ? [] : await this.#pendingOf(encoded, revisions) }
          : result
      },
    }
  }

  async *read<Event extends EventShape = EventShape>(
    selector: Selector = {},
    options: ReadOptions = {},
  ): AsyncGenerator<Recorded<Event>, void, undefined> {
    let part = this.#stored(queryOf(selector, options))
    let after = startOf(options)
    let before: Position | undefined
    let left = limitOf(options)
    await this.#mustBeReached(after)
    const ahead = new ReadAhead<Page>(this.#runtime.clock)
    for (let pages = 1; left > 0; pages++) {
      this.#mustBeOpen()
      options.signal?.throwIfAborted()
      const next = (): Promise<Page> => {
        const limit = Math.min(left, PAGE_EVENTS)
        return this.#driver.read({ ...part, after, limit, ...(before !== undefined && { before }) })
      }
      await this.#turns.next()
      const page = await ahead.take(next)
      // What is appended meanwhile could go on for ever.
      if (part.upTo === undefined && !page.end) part = { ...part, upTo: await this.#driver.head() }
      if (part.backwards) before = page.position
      else after = page.position
      left -= page.events.length
      // Whoever asks for a second page will want more.
      if (!page.end && pages > 1) ahead.begin(left, next)
      const { events, fault } = await this.#decode(page, selector, options.faults)
      // What is not shown does not count.
      left += page.events.length - events.length
      for (const event of events) yield event as Recorded<Event>
      if (fault) throw fault.error
      if (page.end) return
    }
  }

  async *follow<Event extends EventShape = EventShape>(
    selector: Selector = {},
    options: FollowOptions = {},
  ): AsyncGenerator<Batch<Recorded<Event>>, void, undefined> {
    const part = this.#stored(followedPart(selector, options))
    const limit = limitOf({ limit: options.batch ?? PAGE_EVENTS }) || 1
    this.#mustBeOpen()
    const signal = options.signal
      ? AbortSignal.any([options.signal, this.#closing.signal])
      : this.#closing.signal
    const start = await this.#patiently(signal, async () => {
      if (options.from === 'end') return this.#driver.head()
      const from = startOf(options)
      await this.#mustBeReached(from)
      return from
    })
    if (start === undefined) return
    let position = start
    const next = (): Promise<Page | undefined> => {
      const after = position
      return this.#patiently(signal, () => this.#driver.read({ ...part, after, limit }))
    }
    const ahead = new ReadAhead<Page | undefined>(this.#runtime.clock)
    let told = false
    let toldPosition = position
    let toldAt = this.#runtime.clock.now()
    for (;;) {
      await this.#turns.next()
      const page = await ahead.take(next)
      if (!page) return
      position = page.position
      if (!page.end) ahead.begin(limit, next)
      const { events, fault } = await this.#decode(page, selector, options.faults)
      if (fault) {
        // What is before it is handled once, and not again with each try.
        const last = events.at(-1)?.position
        if (last !== undefined)
          yield {
            events: events as Recorded<Event>[],
            position: last,
            caughtUp: false,
            truncated: page.truncated,
          }
        throw fault.error
      }
      const passed = position !== toldPosition && this.#runtime.clock.now() - toldAt >= PROGRESS_MS
      if (events.length > 0 || page.truncated || page.end !== told || passed) {
        told = page.end
        toldPosition = position
        toldAt = this.#runtime.clock.now()
        yield { events: events as Recorded<Event>[], position, caughtUp: page.end, truncated: page.truncated }
      }
      if (!page.end) continue
      await this.#driver.changed(position, signal)
      while (this.#own && this.#runtime.clock.now() - toldAt < PROGRESS_MS) {
        // Whoever has appended is told along with followers: when no microtask is left, that is done.
        await new Promise<void>((resolve) => process.nextTick(resolve))
        const passed = this.#own.passed(part, position)
        if (passed === position) break
        position = passed
        await this.#driver.changed(position, signal)
      }
    }
  }

  async head(): Promise<Position> {
    this.#mustBeOpen()
    return this.#driver.head()
  }

  async positionAt(time: number): Promise<Position> {
    this.#mustBeOpen()
    checkTime(time)
    return this.#driver.positionAt(time)
  }

  async revision(stream: string): Promise<number | 'none'> {
    this.#mustBeOpen()
    checkName(stream, 'the name of a stream', 'BANYAN_INVALID_SELECTOR', MAX_STREAM_BYTES)
    return this.#driver.revision(stream)
  }

  async *streams(options: StreamsOptions = {}): AsyncGenerator<StreamInfo, void, undefined> {
    checkStreamsOptions(options)
    const { category, signal } = options
    let { after } = options
    let left = options.limit ?? Infinity
    while (left > 0) {
      this.#mustBeOpen()
      signal?.throwIfAborted()
      const limit = Math.min(left, LIST_STREAMS)
      const query = {
        limit,
        ...(category !== undefined && { category }),
        ...(after !== undefined && { after }),
      }
      const found = await this.#driver.streams(query)
      yield* found
      if (found.length < limit) return
      left -= found.length
      after = found.at(-1)?.stream
    }
  }

  async truncate(what: Truncation): Promise<TruncateResult> {
    checkTruncation(what)
    // Who comes with a position of another log would remove everything of this one.
    await this.#mustBeReached('upTo' in what ? what.upTo : START)
    return this.#driver.truncate(what)
  }

  async hold(name: string, position: Position): Promise<void> {
    checkName(name, 'the name of a hold', 'BANYAN_INVALID_SELECTOR')
    checkPosition(position, 'the position of a hold')
    await this.#mustBeReached(position)
    return this.#driver.hold(name, position)
  }

  async release(name: string): Promise<void> {
    this.#mustBeOpen()
    checkName(name, 'the name of a hold', 'BANYAN_INVALID_SELECTOR')
    return this.#driver.release(name)
  }

  async stats(): Promise<LogStats> {
    this.#mustBeOpen()
    return this.#driver.stats()
  }

  async *verify(options: VerifyOptions = {}): AsyncGenerator<Finding, void, undefined> {
    const { verifyLog } = await import('./verify.js')
    this.#mustBeOpen()
    yield* verifyLog(this.#driver, options.signal ?? this.#closing.signal, options.onProgress)
  }

  async backup(to: string): Promise<void> {
    this.#mustBeOpen()
    if (!this.#driver.backup)
      throw eventError(
        'BANYAN_UNSUPPORTED',
        `the ${this.capabilities.driver} driver leaves backups to the tools of its engine; banyan events export works with all`,
      )
    return this.#driver.backup(to)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    await this.#group.close()
    await this.#driver.close()
    this.#instruments.close()
  }

  async #append(encoded: EncodedCommit): Promise<AppendResult> {
    const outcome = await this.#appendEncoded(encoded)
    if (outcome.kind !== 'appended') return refused(encoded, outcome)
    return {
      ok: true,
      id: encoded.id,
      position: outcome.position ?? START,
      streams: revisionsOf(encoded, outcome.revisions),
      duplicate: outcome.duplicate,
    }
  }

  async #appendEncoded(commit: EncodedCommit): Promise<Outcome> {
    const begun = this.#instruments.begun()
    try {
      const outcome = await this.#group.append(commit)
      if (outcome.kind !== 'appended') this.#instruments.ended(begun, outcome.kind)
      else if (outcome.duplicate) this.#instruments.ended(begun, 'duplicate')
      else this.#instruments.ended(begun, 'appended', commit.events)
      return outcome
    } catch (error) {
      this.#instruments.ended(begun, 'error')
      throw error
    }
  }

  /** What a commit appends, as it will be read. */
  async #pendingOf({ id, streams }: EncodedCommit, revisions: readonly number[]): Promise<PendingEvent[]> {
    const events: PendingEvent[] = []
    for (const [index, { stream, events: encoded }] of streams.entries())
      for (const [number, event] of encoded.entries()) {
        const revision = revisions[index]! - encoded.length + 1 + number
        const stored = { ...event, commit: id, stream, revision, position: START, recorded: 0 }
        events.push(await transformRead(this.#transforms, decodeEvent(stored)))
      }
    return events
  }

  #encode(commit: Commit): EncodedCommit {
    return encodeCommit(commit, this.#limits, this.#runtime.clock)
  }

  async #encodeTransformed(commit: Commit): Promise<EncodedCommit> {
    const streams = await transformStreams(this.#transforms, commit.streams ?? [])
    return this.#encode({ ...commit, streams })
  }

  /** A query for what is shown as one for what is stored. */
  #stored(part: Part): Part {
    return part.types && this.#renames
      ? { ...part, types: storedTypesOf(this.#transforms, part.types) }
      : part
  }

  /** The events of a page, up to the first that cannot be shown. */
  async #decode(
    page: Page,
    { types }: Selector,
    faults: ReadOptions['faults'] = 'throw',
  ): Promise<{ events: readonly RecordedEvent[]; fault?: { error: unknown } }> {
    const events: RecordedEvent[] = []
    try {
      for (const stored of page.events) {
        const event = decodeEvent(stored)
        if (this.#transforms.length === 0) events.push(event)
        else if (faults === 'throw') events.push(await transformRead(this.#transforms, event))
        else
          events.push(
            await transformRead(this.#transforms, event).catch((fault: unknown) => {
              if (isPassing(fault) || !(fault instanceof Error)) throw fault
              return { ...event, fault }
            }),
          )
      }
      return { events: this.#selected(events, types) }
    } catch (error) {
      return { events: this.#selected(events, types), fault: { error } }
    } finally {
      this.#instruments.read.add(events.length)
    }
  }

  /** Those of what was read that are shown under a type which was asked for. */
  #selected(events: readonly RecordedEvent[], types: Selector['types']): readonly RecordedEvent[] {
    if (!types || !this.#renames) return events
    return events.filter(({ type, fault }) => fault !== undefined || types.includes(type))
  }

  /** What a follower asks; while the engine cannot be reached it asks again. Undefined if the signal ended it. */
  async #patiently<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T | undefined> {
    for (let pause = RETRY_FIRST_MS; !signal.aborted; pause = Math.min(pause * 2, RETRY_LAST_MS)) {
      try {
        return await ask()
      } catch (error) {
        if (!isPassing(error)) throw error
        this.#runtime.telemetry.log('warn', `a follower waits for the event log: ${error.message}`)
        await sleep(this.#runtime.clock, pause, signal).catch(() => undefined)
      }
    }
    return undefined
  }

  /** Whoever comes with a position that is not there yet comes from another log, and would wait or skip in silence. */
  async #mustBeReached(position: Position): Promise<void> {
    this.#mustBeOpen()
    if (position === START) return
    const head = await this.#driver.head()
    if (position <= head) return
    // Only the driver knows what a position looks like, and refuses what is none.
    await this.#driver.read({ after: position, limit: 1, backwards: false })
    throw eventError(
      'BANYAN_POSITION_AHEAD',
      `position ${position} is behind the end of this log, which is at ${head}: it is of another log, or this one was restored from a backup. ` +
        'Check what has been done with the events behind the end, then go on from a position of this log',
    )
  }

  #mustBeOpen(): void {
    if (this.#closing.signal.aborted) throw eventError('BANYAN_LOG_CLOSED', 'the log is closed')
  }
}

function revisionsOf(
  commit: EncodedCommit,
  revisions: readonly number[],
): { stream: string; revision: number }[] {
  return commit.streams.map(({ stream }, index) => ({ stream, revision: revisions[index]! }))
}

function refused(commit: EncodedCommit, outcome: Exclude<Outcome, { kind: 'appended' }>): Conflicted {
  if (outcome.kind === 'conflict') return { ok: false, conflicts: outcome.conflicts }
  throw eventError(
    'BANYAN_COMMIT_OVERLAP',
    outcome.id === commit.id
      ? `the id ${commit.id} is taken by a commit with other streams or events; an id belongs to one commit for ever`
      : `commit ${commit.id} has an event with the id ${outcome.id}, which is taken by another commit`,
  )
}
