import { systemRuntime } from '../../core/runtime.js'
import type { EventLog, EventShape, ReadOptions, Recorded } from '../log.js'
import { auditOf, type AuditEntry, type AuditOptions } from './audit.js'
import { CommandHandler, type CommandOptions, type Handled } from './command-handler.js'
import type { Decider } from './decider.js'
import { stateDiff, type StateDiff } from './diff.js'
import type { Moment } from './moment.js'
import { Replays, type Loaded } from './replay.js'
import { checkRepository, listOf, typeOf, type RepositoryOptions } from './repository-options.js'
import {
  refuseUndoMetadata,
  Undoing,
  type UndoableDecider,
  type UndoOptions,
  type UndoState,
} from './undo.js'

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
