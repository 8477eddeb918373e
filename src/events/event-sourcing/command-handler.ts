import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { Conflict, EventLog, EventShape, Expected, Metadata, NewEvent, Position } from '../log.js'
import { START } from '../position.js'
import { uuid7 } from '../uuid.js'
import { asRead } from '../as-read.js'
import { mustBeSame, type CommandKind } from './command-kind.js'
import { queuesOf } from './command-queues.js'
import { CommandInstruments } from './instruments.js'
import type { CommitSeen, Loaded, Replays, Seen } from './replay.js'

/** What is said with a command. */
export interface CommandOptions {
  /**
   * Makes a repetition harmless: once a command has led to events, the same id again gives the first result, whatever the
   * state is by then. Up to 255 bytes. Default: a new UUID.
   */
  id?: string
  /** Of every event that it leads to: see `causedBy`. */
  metadata?: Metadata
  /** The revision that whoever commands has seen; at any other nothing is decided. */
  expected?: number | 'none'
  /** Ends it while it waits for its turn, or before it is tried again; nothing was appended then. */
  signal?: AbortSignal
}

const OPTIONS: OptionTable<CommandOptions> = {
  id: { kind: 'string', doc: 'makes a repetition harmless' },
  metadata: { kind: 'code', type: 'object', doc: 'of every event' },
  expected: {
    kind: 'either',
    of: [
      { kind: 'number', min: 0, integer: true, doc: 'the revision that was seen' },
      { kind: 'choice', values: ['none'], doc: 'nothing has happened' },
    ],
    doc: 'what whoever commands has seen',
  },
  signal: { kind: 'code', type: 'object', doc: 'ends it early' },
}

/** What came of a command. */
export interface Handled<State> {
  readonly id: string
  /** After its events; of a repetition: the present one. */
  readonly state: State
  /** The last revision of the stream then; `none` if nothing ever happened. */
  readonly revision: number | 'none'
  /** Where its last event is; `'0'` if there was nothing to do. */
  readonly position: Position
  /** How many events it has led to. */
  readonly events: number
  /** It had been handled before. */
  readonly duplicate: boolean
}

/** What happens in answer to a command, on a state that was seen. */
export interface Decision<Event> {
  readonly events: readonly Event[]
  /** Of every event. */
  readonly metadata?: Metadata | undefined
}

/** Decides what happens; throws to refuse. May be asked again, on a later state. */
export type Decide<State, Event> = (seen: Seen<State>) => Decision<Event> | Promise<Decision<Event>>

/** Handles commands: loads, decides, appends, and decides again if somebody else was faster. */
export class CommandHandler<State, Event extends EventShape> {
  readonly #log: EventLog
  readonly #replays: Replays<State, Event>
  readonly #retries: number
  readonly #runtime: Runtime
  readonly #instruments: CommandInstruments
  readonly #queues: ReturnType<typeof queuesOf>

  constructor(
    log: EventLog,
    replays: Replays<State, Event>,
    { category, retries, runtime }: { category: string; retries: number; runtime: Runtime },
  ) {
    this.#log = log
    this.#queues = queuesOf(log)
    this.#replays = replays
    this.#retries = retries
    this.#runtime = runtime
    this.#instruments = new CommandInstruments(runtime, category)
  }

  async handle(
    stream: string,
    options: CommandOptions,
    kind: CommandKind,
    decide: Decide<State, Event>,
  ): Promise<Handled<State>> {
    checkOptions('a command', OPTIONS, options)
    const begun = this.#instruments.begun()
    try {
      const result = await this.#queues.run(stream, this.#runtime.clock, options.signal, () =>
        this.#handle(stream, options, kind, decide),
      )
      this.#instruments.handled(begun, result)
      return result
    } catch (error) {
      this.#instruments.failed(begun, error)
      throw error
    }
  }

  async #handle(
    stream: string,
    options: CommandOptions,
    kind: CommandKind,
    decide: Decide<State, Event>,
  ): Promise<Handled<State>> {
    const id = options.id ?? uuid7(this.#runtime.clock.wall())
    let seen = await this.#replays.load(stream)
    for (let left = this.#retries; ; left--) {
      options.signal?.throwIfAborted()
      const result = await this.#try({ stream, id, options, kind }, decide, seen)
      if ('state' in result) return result
      if (left <= 0) throw outrun(stream, seen.revision, result.actual, this.#retries)
      this.#instruments.retries.add(1)
      seen = await this.#replays.goOn(stream, seen)
    }
  }

  /** Decides once, on a state that was seen. */
  async #try(
    command: Commanded,
    decide: Decide<State, Event>,
    seen: Seen<State>,
  ): Promise<Handled<State> | Conflict> {
    const { stream, id, options, kind } = command
    const known = seen.commits.get(id)
    if (known) return duplicateOf(command, known, seen)
    // Behind a snapshot its events are not seen. They are looked for only where it makes a difference: what can be
    // decided is appended under its id, and the log knows whether that was there.
    const before = (): Promise<Handled<State> | undefined> =>
      options.id === undefined ? Promise.resolve(undefined) : this.#repeated(command, seen)
    const { expected } = options
    if (expected !== undefined && expected !== seen.revision) {
      const first = await before()
      if (first) return first
      throw conflictError(stream, expected, seen.revision)
    }
    let events: readonly NewEvent[]
    let state: State | undefined
    try {
      const decision = await decide(seen)
      events = decision.events.map((event): NewEvent => asAppended(event, decision.metadata, kind))
      // Before they are appended: what cannot be read again must not be in the log.
      if (!this.#log.transformed) state = this.#after(seen.state, events)
    } catch (error) {
      const first = await before()
      if (first) return first
      throw error
    }
    if (events.length === 0)
      return (await before()) ?? { ...resultOf(id, seen), position: START, events: 0, duplicate: false }
    return this.#append(command, events, seen, state)
  }

  /** The state after events, as whoever reads them will make it. */
  #after(state: State, events: readonly NewEvent[]): State {
    for (const event of events) {
      const data = asRead(event.data, event.type)
      state = this.#replays.evolve(state, (data === event.data ? event : { ...event, data }) as Event)
    }
    return state
  }

  /** @param state - after the events; undefined where that shows only when they are read */
  async #append(
    command: Commanded,
    events: readonly NewEvent[],
    seen: Seen<State>,
    state: State | undefined,
  ): Promise<Handled<State> | Conflict> {
    const { stream, id } = command
    let result
    try {
      result = await this.#log.append({ id, streams: [{ stream, expected: seen.revision, events }] })
    } catch (error) {
      if (!(error instanceof BanyanError) || error.code !== 'BANYAN_COMMIT_OVERLAP') throw error
      // The same command may have been decided before, or elsewhere at the same time, and otherwise.
      const elsewhere = await this.#repeated(command, await this.#replays.goOn(stream, seen))
      if (elsewhere) return elsewhere
      throw error
    }
    if (!result.ok) return result.conflicts[0]!
    const { position } = result
    if (!result.duplicate) {
      const { revision } = result.streams[0]!
      const after = this.#log.transformed
        ? (await this.#replays.upTo(stream, seen, revision)).state
        : (state as State)
      return { id, state: after, revision, position, events: events.length, duplicate: false }
    }
    const now = await this.#replays.goOn(stream, seen)
    // Its events may have been truncated since.
    const first = await this.#repeated(command, now)
    return first ?? { ...resultOf(id, now), position, events: events.length, duplicate: true }
  }

  /** What a command has led to, if it was handled before. */
  async #repeated(command: Commanded, seen: Seen<State>): Promise<Handled<State> | undefined> {
    const before = await this.#replays.find(command.stream, command.id, seen)
    return before && duplicateOf(command, before, seen)
  }
}

/** A command on its way. */
interface Commanded {
  readonly stream: string
  readonly id: string
  readonly options: CommandOptions
  readonly kind: CommandKind
}

/** What a command has led to before. */
function duplicateOf<State>(
  { stream, id, kind }: Commanded,
  { position, events, metadata }: CommitSeen,
  seen: Seen<State>,
): Handled<State> {
  mustBeSame(stream, id, kind, metadata)
  return { ...resultOf(id, seen), position, events, duplicate: true }
}

/** What is decided, with what is known around it. */
function asAppended(event: EventShape, metadata: Metadata | undefined, { type }: CommandKind): NewEvent {
  if (metadata === undefined && type === undefined) return event
  const own = (event as NewEvent).metadata
  return { ...event, metadata: { ...own, ...metadata, ...(type !== undefined && { commandType: type }) } }
}

function resultOf<State>(id: string, { state, revision }: Seen<State>): Loaded<State> & { id: string } {
  return { id, state, revision }
}

function outrun(stream: string, expected: Expected, actual: number | 'none', retries: number): Error {
  return eventError(
    'BANYAN_CONFLICT',
    `${stream} is at revision ${actual}, not at ${expected}, as others have appended to it each time; it was tried ` +
      `${retries === 0 ? 'once' : `${retries + 1} times`} (retries: ${retries}), and nothing was appended. Try again, or raise retries`,
  )
}

function conflictError(stream: string, expected: Expected, actual: number | 'none'): Error {
  return eventError(
    'BANYAN_CONFLICT',
    `${stream} is at revision ${actual}, not at ${expected}, as others have appended to it; nothing was appended. Load it again`,
  )
}
