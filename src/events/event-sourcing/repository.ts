import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { EventLog, EventShape, ReadOptions, Recorded } from '../log.js'
import { auditOf, type AuditEntry, type AuditOptions } from './audit.js'
import { CommandHandler, type CommandOptions, type Handled } from './command-handler.js'
import type { Decider } from './decider.js'
import { stateDiff, type StateDiff } from './diff.js'
import { isSystemStream } from '../transform.js'
import { Replays, type Loaded, type Moment } from './replay.js'
import type { SnapshotOptions } from './state-cache.js'
import {
  refuseUndoMetadata,
  Undoing,
  type UndoableDecider,
  type UndoOptions,
  type UndoState,
} from './undo.js'

/** Options of {@link repository}. */
export interface RepositoryOptions<State> {
  /** Streams are called `category-id`: the category, without a dash. */
  category: string
  /** How often a command is decided anew when somebody else has appended to its stream meanwhile. Default 5. */
  retries?: number
  /** Where states are kept, so that long streams need not be read from the start. Default: nowhere. */
  snapshots?: SnapshotOptions<State>
  /**
   * The newest version of each type of event that `evolve` takes: newer ones are refused, and not taken for what they are
   * not. Default: what transforms of the log know, otherwise 1.
   */
  schemaVersions?: Readonly<Record<string, number>>
  /** Time, chance and telemetry. Default: the system's. */
  runtime?: Runtime
}

const SNAPSHOT_OPTIONS: OptionTable<SnapshotOptions<unknown>> = {
  store: { kind: 'code', type: 'object', doc: 'where they are' },
  version: { kind: 'number', min: 0, integer: true, doc: 'of the form of the state' },
  every: { kind: 'number', min: 1, integer: true, doc: 'events between two' },
  toJson: { kind: 'code', type: 'function', doc: 'the state as JSON keeps it' },
  fromJson: { kind: 'code', type: 'function', doc: 'the opposite' },
}

const OPTIONS: OptionTable<RepositoryOptions<unknown>> = {
  category: { kind: 'string', doc: 'what stands before the dash in names of streams' },
  retries: { kind: 'number', min: 0, integer: true, doc: 'tries after a conflict' },
  snapshots: { kind: 'group', options: SNAPSHOT_OPTIONS, doc: 'where states are kept' },
  schemaVersions: { kind: 'code', type: 'object', doc: 'the newest versions that evolve takes' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
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
  /**
   * What is different in the state between two moments, and the events in between.
   *
   * @param to - default now
   */
  diff(id: string, from: Moment, to?: Moment): Promise<StateDiff<State, Event>>
  /** Who did what to it, when and why, and what that has changed in its state; in order. */
  audit(id: string, options?: AuditOptions): AsyncIterable<AuditEntry>
  /** The same for all things of this kind, in the order of the log. Reads the events of all of them. */
  auditAll(options?: AuditOptions): AsyncIterable<AuditEntry>
  /** The name of a stream. */
  streamOf(id: string): string
}

/** A {@link Repository} of a decider whose commands can be undone. */
export interface UndoableRepository<State, Command, Event extends EventShape> extends Repository<
  State,
  Command,
  Event
> {
  /**
   * Takes a command back: appends what its decider says makes up for its events. Nothing is removed from the history.
   *
   * @throws `BANYAN_NOT_UNDOABLE` if there is nothing to undo, if it was undone already, or if an event of it has no
   *   inverse; what the inverse and `check` throw; `BANYAN_HISTORY_TRUNCATED`; what `handle` throws
   */
  undo(id: string, options?: UndoOptions): Promise<Handled<State>>
  /**
   * Lets the events of the command happen again that was undone last. Once another command came, there is nothing to
   * redo.
   *
   * @throws `BANYAN_NOT_UNDOABLE` if there is nothing to redo; what `check` throws; what `handle` throws
   */
  redo(id: string, options?: CommandOptions): Promise<Handled<State>>
  /** Which commands `undo` and `redo` would take now. */
  undoState(id: string): Promise<UndoState>
}

const RETRIES = 5

/**
 * Things whose state is what has happened to them: a stream for each, and a decider that says what happens next.
 *
 * Guarantee: of commands to one stream each is decided on the state that all before it have left (the stream's expected
 * revision), also across processes. Its events are appended all or none, and durable when `handle` resolves.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function repository<State, Command, Event extends EventShape>(
  log: EventLog,
  decider: UndoableDecider<State, Command, Event>,
  options: RepositoryOptions<State>,
): UndoableRepository<State, Command, Event>
export function repository<State, Command, Event extends EventShape>(
  log: EventLog,
  decider: Decider<State, Command, Event>,
  options: RepositoryOptions<State>,
): Repository<State, Command, Event>
export function repository<State, Command, Event extends EventShape>(
  log: EventLog,
  decider: Decider<State, Command, Event> | UndoableDecider<State, Command, Event>,
  options: RepositoryOptions<State>,
): Repository<State, Command, Event> {
  checkRepository(log, decider, options as RepositoryOptions<unknown>)
  return 'inverse' in decider
    ? new UndoableStreams(log, decider, options)
    : new DecidedStreams(log, decider, options)
}

/** @throws `BANYAN_INVALID_OPTIONS` */
function checkRepository(log: unknown, decider: unknown, options: RepositoryOptions<unknown>): void {
  if (!hasMethods(log, ['append', 'read']))
    throw invalid(`the first argument must be a log, as openLog gives it, got ${show(log)}`)
  if (!hasMethods(decider, ['initialState', 'decide', 'evolve']))
    throw invalid('the second argument must be a decider, with the functions initialState, decide and evolve')
  checkOptions('repository', OPTIONS, options)
  const { category, snapshots, schemaVersions = {} } = options
  // Of what begins with a $, the patterns know how it is read.
  if (typeof category !== 'string' || category === '' || category.includes('-') || isSystemStream(category))
    throw invalid(`category must be a name without a dash that does not begin with $, got ${show(category)}`)
  if (snapshots && !hasMethods(snapshots.store, ['read', 'write', 'delete']))
    throw invalid('snapshots.store must be a SnapshotStore, as openSnapshots gives it')
  if (snapshots && (snapshots.version as number | undefined) === undefined)
    throw invalid('snapshots.version is needed: a number that changes with the form of the state')
  for (const [type, newest] of Object.entries(schemaVersions))
    if (!Number.isInteger(newest) || newest < 1)
      throw invalid(`schemaVersions.${type} must be a whole number from 1, got ${show(newest)}`)
}

function hasMethods(value: unknown, names: readonly string[]): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    names.every((name) => typeof (value as Record<string, unknown>)[name] === 'function')
  )
}

function show(value: unknown): string {
  return value === undefined ? 'undefined' : JSON.stringify(value)
}

function invalid(message: string): Error {
  return new BanyanError('BANYAN_INVALID_OPTIONS', `repository: ${message}`)
}

class DecidedStreams<State, Command, Event extends EventShape> implements Repository<State, Command, Event> {
  protected readonly replays: Replays<State, Event>
  protected readonly commands: CommandHandler<State, Event>
  readonly #log: EventLog
  readonly #decider: Decider<State, Command, Event>
  readonly #category: string

  constructor(log: EventLog, decider: Decider<State, Command, Event>, options: RepositoryOptions<State>) {
    const { category, retries = RETRIES, snapshots, schemaVersions, runtime = systemRuntime } = options
    this.#log = log
    this.#decider = decider
    this.#category = category
    this.replays = new Replays(log, decider, snapshots, runtime, schemaVersions)
    this.commands = new CommandHandler(log, this.replays, { category, retries, runtime })
  }

  streamOf(id: string): string {
    return `${this.#category}-${id}`
  }

  handle(id: string, command: Command, options: CommandOptions = {}): Promise<Handled<State>> {
    const stream = this.streamOf(id)
    const kind = { does: 'command', type: typeOf(command) ?? options.metadata?.commandType } as const
    return this.commands.handle(stream, options, kind, ({ state }) => ({
      events: listOf(this.#decider.decide(command, state), stream),
      metadata: options.metadata,
    }))
  }

  async load(id: string, at?: Moment): Promise<Loaded<State>> {
    const { state, revision } = await this.replays.load(this.streamOf(id), at)
    return { state, revision }
  }

  history(id: string, options?: ReadOptions): AsyncIterable<Recorded<Event>> {
    return this.#log.read<Event>({ stream: this.streamOf(id) }, options)
  }

  diff(id: string, from: Moment, to?: Moment): Promise<StateDiff<State, Event>> {
    return stateDiff(this.#log, this.replays, this.streamOf(id), from, to)
  }

  audit(id: string, options: AuditOptions = {}): AsyncIterable<AuditEntry> {
    return auditOf(this.#log, { stream: this.streamOf(id) }, options, this.replays)
  }

  auditAll(options: AuditOptions = {}): AsyncIterable<AuditEntry> {
    return auditOf(this.#log, { category: this.#category }, options, this.replays)
  }
}

class UndoableStreams<State, Command, Event extends EventShape>
  extends DecidedStreams<State, Command, Event>
  implements UndoableRepository<State, Command, Event>
{
  readonly #undoing: Undoing<State, Event>

  constructor(
    log: EventLog,
    decider: UndoableDecider<State, Command, Event>,
    options: RepositoryOptions<State>,
  ) {
    super(log, decider, options)
    this.#undoing = new Undoing(log, this.replays, decider)
  }

  override async handle(id: string, command: Command, options?: CommandOptions): Promise<Handled<State>> {
    refuseUndoMetadata(options?.metadata)
    return super.handle(id, command, options)
  }

  async undo(id: string, { of, ...options }: UndoOptions = {}): Promise<Handled<State>> {
    refuseUndoMetadata(options.metadata)
    const stream = this.streamOf(id)
    return this.commands.handle(stream, options, { does: 'undo' }, (seen) =>
      this.#undoing.undo(stream, seen, options.metadata, of),
    )
  }

  async redo(id: string, options: CommandOptions = {}): Promise<Handled<State>> {
    refuseUndoMetadata(options.metadata)
    const stream = this.streamOf(id)
    return this.commands.handle(stream, options, { does: 'redo' }, (seen) =>
      this.#undoing.redo(stream, seen, options.metadata),
    )
  }

  undoState(id: string): Promise<UndoState> {
    return this.#undoing.state(this.streamOf(id))
  }
}

/** The type of a command that says it. */
function typeOf(command: unknown): string | undefined {
  const type: unknown =
    typeof command === 'object' && command !== null ? (command as { type?: unknown }).type : undefined
  return typeof type === 'string' ? type : undefined
}

/** @throws `BANYAN_INVALID_EVENT` for what are no events */
function listOf<Event extends EventShape>(
  decided: Event | readonly Event[],
  stream: string,
): readonly Event[] {
  const list: readonly unknown[] = Array.isArray(decided) ? (decided as readonly Event[]) : [decided]
  for (const event of list)
    if (typeof event !== 'object' || event === null || event instanceof Promise)
      throw eventError(
        'BANYAN_INVALID_EVENT',
        `decide must give an event, or a list of them ([] for nothing), for ${stream}; it gave ${
          event instanceof Promise ? 'a Promise: it must not be asynchronous' : show(event)
        }`,
      )
  return list as readonly Event[]
}
