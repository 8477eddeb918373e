import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { EventLog, EventShape, Metadata, Position, RecordedEvent } from '../log.js'
import { isSystemStream } from '../transform.js'
import { changesBetween, type Change } from './changes.js'
import type { Replays } from './replay.js'

/** Whose deeds, and when. What is left out does not matter; what is given must all be true. */
export interface AuditOptions {
  /** Who did it: `metadata.actor`. */
  actor?: string
  /** What it belongs to: `metadata.correlationId`. */
  correlationId?: string
  /** Only after this position. */
  from?: Position
  /** Only up to this position, with it. */
  to?: Position
  signal?: AbortSignal
}

/** {@link AuditOptions} over a whole log. */
export interface AuditSelection extends AuditOptions {
  /** Of one stream; not together with `category`. */
  stream?: string
  /** Of the streams of one category. */
  category?: string
}

const AUDIT_OPTIONS: OptionTable<AuditOptions> = {
  actor: { kind: 'string', doc: 'who did it' },
  correlationId: { kind: 'string', doc: 'what it belongs to' },
  from: { kind: 'string', doc: 'only after this position' },
  to: { kind: 'string', doc: 'only up to this position' },
  signal: { kind: 'code', type: 'object', doc: 'ends it early' },
}

const SELECTION_OPTIONS: OptionTable<AuditSelection> = {
  ...AUDIT_OPTIONS,
  stream: { kind: 'string', doc: 'of one stream' },
  category: { kind: 'string', doc: 'of the streams of one category' },
}

/** Something that has happened: when, who, why, and what it has changed. */
export interface AuditEntry {
  /** When it happened, in ms since the epoch. */
  readonly time: number
  /** When it was appended, in ms since the epoch. */
  readonly recorded: number
  /** Who did it. */
  readonly actor?: string
  /** Id of the command that it came with: that of its commit. */
  readonly command: string
  /** The type of that command, if it has one: `metadata.commandType`. */
  readonly commandType?: string
  /** Id of the event or command that led to it. */
  readonly causationId?: string
  /** What it belongs to. */
  readonly correlationId?: string
  /** Id of the command that it takes back. */
  readonly undoes?: string
  /** Id of the command that it does again after it was undone. */
  readonly redoes?: string
  readonly stream: string
  readonly revision: number
  readonly position: Position
  readonly type: string
  readonly data: unknown
  /** Everything that is known around it, also what is said above. */
  readonly metadata: Metadata
  /**
   * What is different in the state after it. Not there without a decider, and where the state before cannot be told, as
   * the beginning of the stream was truncated.
   */
  readonly changes?: readonly Change[]
}

/**
 * Who did what, when and why, in the order of the log. Streams whose names begin with `$` are left out, unless they are
 * what is asked for. Reads everything that is selected by stream or category: actors and correlations have no index.
 *
 * For what has changed in the states, ask a repository.
 *
 * @throws `BANYAN_INVALID_OPTIONS`; what `log.read` throws
 */
export function auditTrail(log: EventLog, selection: AuditSelection = {}): AsyncIterable<AuditEntry> {
  checkOptions('auditTrail', SELECTION_OPTIONS, selection)
  return auditEntries(log, selection)
}

/** The trail of a repository; see {@link auditEntries}. */
export function auditOf<State, Event extends EventShape>(
  log: EventLog,
  where: Pick<AuditSelection, 'stream' | 'category'>,
  options: AuditOptions,
  replays: Replays<State, Event>,
): AsyncIterable<AuditEntry> {
  checkOptions('audit', AUDIT_OPTIONS, options)
  return auditEntries(log, { ...options, ...where }, replays)
}

/** The same, with what has changed if it is known how states are made. */
export async function* auditEntries<State, Event extends EventShape>(
  log: EventLog,
  selection: AuditSelection,
  replays?: Replays<State, Event>,
): AsyncGenerator<AuditEntry, void, undefined> {
  const { stream, category, actor, correlationId, from, to, signal } = selection
  const selector = { ...(stream !== undefined && { stream }), ...(category !== undefined && { category }) }
  const isEverything = stream === undefined && category === undefined
  const changes = replays && new ChangesAlong(replays)
  const part = {
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(signal && { signal }),
  }
  for await (const event of log.read(selector, part)) {
    if (isEverything && isSystemStream(event.stream)) continue
    // Also of events that are not wanted: the state goes on with them.
    const changed = await changes?.after(event)
    if (actor !== undefined && event.metadata.actor !== actor) continue
    if (correlationId !== undefined && event.metadata.correlationId !== correlationId) continue
    yield entryOf(event, changed)
  }
}

function entryOf(event: RecordedEvent, changes: readonly Change[] | undefined): AuditEntry {
  const { time, recorded, commit, stream, revision, position, type, data, metadata } = event
  const { actor, commandType, causationId, correlationId, undoes, redoes } = metadata
  return {
    time,
    recorded,
    ...(actor !== undefined && { actor }),
    command: commit,
    ...(commandType !== undefined && { commandType }),
    ...(causationId !== undefined && { causationId }),
    ...(correlationId !== undefined && { correlationId }),
    ...(typeof undoes === 'string' && { undoes }),
    ...(typeof redoes === 'string' && { redoes }),
    stream,
    revision,
    position,
    type,
    data,
    metadata,
    ...(changes && { changes }),
  }
}

/** An entry as JSON keeps it: bytes as CloudEvents have them. */
export function auditRecord({ data, ...entry }: AuditEntry): object {
  return data instanceof Uint8Array
    ? { ...entry, data_base64: Buffer.from(data).toString('base64') }
    : { ...entry, data }
}

/** States that are kept while many streams are read in the order of the log. */
const MOST_STATES = 1000

/** Goes along with events in their order, and says what each has changed. */
class ChangesAlong<State, Event extends EventShape> {
  readonly #replays: Replays<State, Event>
  /** After the last event of each stream; those that went on last are kept. */
  readonly #states = new Map<string, { readonly revision: number; readonly state: State } | 'unknown'>()

  constructor(replays: Replays<State, Event>) {
    this.#replays = replays
  }

  async after(event: RecordedEvent): Promise<readonly Change[] | undefined> {
    const { stream, revision } = event
    const before = await this.#before(event)
    if (before === 'unknown') {
      this.#keep(stream, 'unknown')
      return undefined
    }
    const state = this.#replays.evolve(before.state, event as unknown as Event)
    this.#keep(stream, { revision, state })
    return changesBetween(before.state, state)
  }

  async #before({ stream, revision }: RecordedEvent): Promise<{ state: State } | 'unknown'> {
    const known = this.#states.get(stream)
    if (known === 'unknown' || known?.revision === revision - 1) return known
    try {
      return await this.#replays.loadBefore(stream, revision)
    } catch (error) {
      if (error instanceof BanyanError && error.code === 'BANYAN_HISTORY_TRUNCATED') return 'unknown'
      throw error
    }
  }

  #keep(stream: string, after: { revision: number; state: State } | 'unknown'): void {
    this.#states.delete(stream)
    this.#states.set(stream, after)
    if (this.#states.size > MOST_STATES) this.#states.delete(this.#states.keys().next().value!)
  }
}
