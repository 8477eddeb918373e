import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { Conflict, EventLog, EventShape, Expected, Metadata, NewEvent, Position } from '../log.js'
import { START } from '../position.js'
import { uuid7 } from '../uuid.js'
import { CommandInstruments } from './instruments.js'
import type { Loaded, Replays, Seen } from './replay.js'

/** What is said with a command. */
export interface CommandOptions {
  /**
   * Makes a repetition harmless: the same id again gives the first result, whatever the state is by then. Up to 255
   * bytes. Default: a new UUID.
   */
  id?: string
  /** Of every event that it leads to: see `causedBy`. */
  metadata?: Metadata
  /** The revision that whoever commands has seen; at any other nothing is decided. */
  expected?: number | 'none'
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

  constructor(
    log: EventLog,
    replays: Replays<State, Event>,
    { category, retries, runtime }: { category: string; retries: number; runtime: Runtime },
  ) {
    this.#log = log
    this.#replays = replays
    this.#retries = retries
    this.#runtime = runtime
    this.#instruments = new CommandInstruments(runtime, category)
  }

  async handle(
    stream: string,
    options: CommandOptions,
    decide: Decide<State, Event>,
  ): Promise<Handled<State>> {
    checkOptions('a command', OPTIONS, options)
    const begun = this.#instruments.begun()
    try {
      const result = await this.#handle(stream, options, decide)
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
    decide: Decide<State, Event>,
  ): Promise<Handled<State>> {
    const id = options.id ?? uuid7(this.#runtime.clock.wall())
    let seen = await this.#replays.load(stream)
    for (let left = this.#retries; ; left--) {
      const result = await this.#try(stream, id, options, decide, seen)
      if ('state' in result) return result
      if (left <= 0) throw conflictError(stream, seen.revision, result.actual)
      this.#instruments.retries.add(1)
      seen = await this.#replays.goOn(stream, seen)
    }
  }

  /** Decides once, on a state that was seen. */
  async #try(
    stream: string,
    id: string,
    options: CommandOptions,
    decide: Decide<State, Event>,
    seen: Seen<State>,
  ): Promise<Handled<State> | Conflict> {
    const known = seen.commits.get(id)
    if (known) return { ...resultOf(id, seen), ...known, duplicate: true }
    // Behind a snapshot its events are not seen. They are looked for only where it makes a difference: what can be
    // decided is appended under its id, and the log knows whether that was there.
    const before = (): Promise<Handled<State> | undefined> =>
      options.id === undefined ? Promise.resolve(undefined) : this.#repeated(stream, id, seen)
    const { expected } = options
    if (expected !== undefined && expected !== seen.revision) {
      const first = await before()
      if (first) return first
      throw conflictError(stream, expected, seen.revision)
    }
    let decision
    try {
      decision = await decide(seen)
    } catch (error) {
      const first = await before()
      if (first) return first
      throw error
    }
    const { events, metadata } = decision
    if (events.length === 0)
      return (await before()) ?? { ...resultOf(id, seen), position: START, events: 0, duplicate: false }
    const appended = events.map((event): NewEvent => ({ ...event, ...(metadata && { metadata }) }))
    return this.#append(stream, id, appended, seen, (state) =>
      events.reduce((state, event) => this.#replays.evolve(state, event), state),
    )
  }

  async #append(
    stream: string,
    id: string,
    events: readonly NewEvent[],
    seen: Seen<State>,
    evolve: (state: State) => State,
  ): Promise<Handled<State> | Conflict> {
    let result
    try {
      result = await this.#log.append({ id, streams: [{ stream, expected: seen.revision, events }] })
    } catch (error) {
      if (!(error instanceof BanyanError) || error.code !== 'BANYAN_COMMIT_OVERLAP') throw error
      // The same command may have been decided before, or elsewhere at the same time, and otherwise.
      const elsewhere = await this.#repeated(stream, id, await this.#replays.goOn(stream, seen))
      if (elsewhere) return elsewhere
      throw error
    }
    if (!result.ok) return result.conflicts[0]!
    const { position } = result
    if (!result.duplicate) {
      const { revision } = result.streams[0]!
      return { id, state: evolve(seen.state), revision, position, events: events.length, duplicate: false }
    }
    const now = await this.#replays.goOn(stream, seen)
    // Its events may have been truncated since.
    const first = await this.#repeated(stream, id, now)
    return first ?? { ...resultOf(id, now), position, events: events.length, duplicate: true }
  }

  /** What a command has led to, if it was handled before. */
  async #repeated(stream: string, id: string, seen: Seen<State>): Promise<Handled<State> | undefined> {
    const before = await this.#replays.find(stream, id, seen)
    return before && { ...resultOf(id, seen), ...before, duplicate: true }
  }
}

function resultOf<State>(id: string, { state, revision }: Seen<State>): Loaded<State> & { id: string } {
  return { id, state, revision }
}

function conflictError(stream: string, expected: Expected, actual: number | 'none'): Error {
  return eventError(
    'BANYAN_CONFLICT',
    `${stream} is at revision ${actual}, not at ${expected}, as others have appended to it; nothing was appended. Load it again`,
  )
}
