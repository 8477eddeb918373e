import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type {
  Conflict,
  EventLog,
  EventShape,
  Expected,
  Metadata,
  Position,
  ReadOptions,
  Recorded,
} from '../log.js'
import { eventError } from '../errors.js'
import { START } from '../position.js'
import { uuid7 } from '../uuid.js'
import type { Decider } from './decider.js'
import { Replays, type Loaded, type Moment, type Seen, type SnapshotOptions } from './replay.js'

/** Options of {@link repository}. */
export interface RepositoryOptions<State> {
  /** Streams are called `category-id`: the category, without a dash. */
  category: string
  /** How often a command is decided anew when somebody else has appended to its stream meanwhile. Default 5. */
  retries?: number
  /** Where states are kept, so that long streams need not be read from the start. Default: nowhere. */
  snapshots?: SnapshotOptions<State>
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<RepositoryOptions<unknown>> = {
  category: { kind: 'string', doc: 'what stands before the dash in names of streams' },
  retries: { kind: 'number', min: 0, integer: true, doc: 'tries after a conflict' },
  snapshots: { kind: 'code', type: 'object', doc: 'where states are kept' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

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

/** Things of one kind, each the history of its stream. */
export interface Repository<State, Command, Event extends EventShape> {
  /**
   * Loads, decides, appends. If somebody else has appended meanwhile, it is decided again on the new state.
   *
   * @throws what `decide` throws; `BANYAN_CONFLICT` if the stream is not at `expected`, or if others were faster after
   *   all retries; `BANYAN_COMMIT_OVERLAP` if the id was used for something else; what `append` throws
   */
  handle(id: string, command: Command, options?: CommandOptions): Promise<Handled<State>>
  /** The state now, or as it was at a moment. */
  load(id: string, at?: Moment): Promise<Loaded<State>>
  /** What has happened, in order. */
  history(id: string, options?: ReadOptions): AsyncIterable<Recorded<Event>>
  /** The name of a stream. */
  streamOf(id: string): string
}

const RETRIES = 5

/**
 * Things whose state is what has happened to them: a stream for each, and a decider that says what happens next.
 *
 * Guarantee: of commands to one stream each is decided on the state that all before it have left (the stream's expected
 * revision), also across processes. Its events are appended all or none, and durable when `handle` resolves.
 */
export function repository<State, Command, Event extends EventShape>(
  log: EventLog,
  decider: Decider<State, Command, Event>,
  options: RepositoryOptions<State>,
): Repository<State, Command, Event> {
  checkOptions('repository', OPTIONS, options as RepositoryOptions<unknown>)
  const { category } = options
  if (typeof category !== 'string' || category === '' || category.includes('-'))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `repository: category must be a name without a dash, got ${JSON.stringify(category)}`,
    )
  return new DecidedStreams(log, decider, options)
}

class DecidedStreams<State, Command, Event extends EventShape> implements Repository<State, Command, Event> {
  readonly #log: EventLog
  readonly #decider: Decider<State, Command, Event>
  readonly #category: string
  readonly #retries: number
  readonly #replays: Replays<State, Event>
  readonly #runtime: Runtime

  constructor(log: EventLog, decider: Decider<State, Command, Event>, options: RepositoryOptions<State>) {
    this.#log = log
    this.#decider = decider
    this.#category = options.category
    this.#retries = options.retries ?? RETRIES
    this.#runtime = options.runtime ?? systemRuntime
    this.#replays = new Replays(log, decider, options.snapshots, this.#runtime)
  }

  streamOf(id: string): string {
    return `${this.#category}-${id}`
  }

  history(id: string, options?: ReadOptions): AsyncIterable<Recorded<Event>> {
    return this.#log.read<Event>({ stream: this.streamOf(id) }, options)
  }

  async load(id: string, at?: Moment): Promise<Loaded<State>> {
    const { state, revision } = await this.#replays.load(this.streamOf(id), at)
    return { state, revision }
  }

  async handle(id: string, command: Command, options: CommandOptions = {}): Promise<Handled<State>> {
    const stream = this.streamOf(id)
    const commit = options.id ?? uuid7(this.#runtime.clock.wall())
    let seen = await this.#replays.load(stream)
    for (let left = this.#retries; ; left--) {
      const result = await this.#try(stream, commit, command, options, seen)
      if ('state' in result) return result
      if (left <= 0) throw conflictError(stream, seen.revision, result.actual)
      seen = await this.#replays.goOn(stream, seen)
    }
  }

  /** Decides once, on a state that was seen. */
  async #try(
    stream: string,
    id: string,
    command: Command,
    { expected, metadata, id: given }: CommandOptions,
    seen: Seen<State>,
  ): Promise<Handled<State> | Conflict> {
    const before = given === undefined ? undefined : await this.#repeated(stream, id, seen)
    if (before) return before
    if (expected !== undefined && expected !== seen.revision)
      throw conflictError(stream, expected, seen.revision)
    const decided = listOf(this.#decider.decide(command, seen.state))
    if (decided.length === 0) return { ...resultOf(id, seen), position: START, events: 0, duplicate: false }
    const events = decided.map((event) => ({ ...event, ...(metadata && { metadata }) }))
    let result
    try {
      result = await this.#log.append({ id, streams: [{ stream, expected: seen.revision, events }] })
    } catch (error) {
      if (!(error instanceof BanyanError) || error.code !== 'BANYAN_COMMIT_OVERLAP') throw error
      // The same command may have been decided elsewhere at the same time, and otherwise.
      const elsewhere = await this.#repeated(stream, id, await this.#replays.goOn(stream, seen))
      if (elsewhere) return elsewhere
      throw error
    }
    if (!result.ok) return result.conflicts[0]!
    if (result.duplicate) return (await this.#repeated(stream, id, await this.#replays.goOn(stream, seen)))!
    return {
      id,
      state: decided.reduce((state, event) => this.#decider.evolve(state, event), seen.state),
      revision: result.streams[0]!.revision,
      position: result.position,
      events: decided.length,
      duplicate: false,
    }
  }

  /** What a command has led to, if it was handled before. */
  async #repeated(stream: string, id: string, seen: Seen<State>): Promise<Handled<State> | undefined> {
    const before = await this.#replays.find(stream, id, seen)
    return before && { ...resultOf(id, seen), ...before, duplicate: true }
  }
}

function listOf<Event extends EventShape>(decided: Event | readonly Event[]): readonly Event[] {
  return Array.isArray(decided) ? (decided as readonly Event[]) : [decided as Event]
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
