import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { EventLog, EventShape, Metadata, Position, ReadOptions } from '../log.js'
import { START } from '../position.js'
import type { Decider } from './decider.js'
import { checkMoment, notYet, type Moment } from './moment.js'
import { StateCache, type SnapshotOptions } from './state-cache.js'

/** A state, and when it was so. */
export interface Loaded<State> {
  readonly state: State
  /** The last event that is in it; `none` if there is none. */
  readonly revision: number | 'none'
}

/** What was read of a stream. */
export interface Seen<State> extends Loaded<State> {
  /** Id of the last event that is in it. */
  readonly last: string | undefined
  /** The revision behind the snapshot that it began with; 0 if with none. */
  readonly since: number
  /** Commits that were read. */
  readonly commits: ReadonlyMap<string, CommitSeen>
}

/** A commit to a stream: the position of its last event, how many it has, and what is known around the first. */
export interface CommitSeen {
  readonly position: Position
  readonly events: number
  readonly metadata: Metadata
}

/** What makes states of events: a decider, or as much of it as is needed to look at things. */
export type Evolution<State, Event extends EventShape> = Pick<
  Decider<State, never, Event>,
  'initialState' | 'evolve'
>

/** States of streams, made of their events, from the last snapshot on if there is one. */
export class Replays<State, Event extends EventShape> {
  readonly #log: EventLog
  readonly #decider: Evolution<State, Event>
  readonly #snapshots: StateCache<State> | undefined
  readonly #schemaVersions: Readonly<Record<string, number>> | 'any'

  constructor(
    log: EventLog,
    decider: Evolution<State, Event>,
    snapshots: SnapshotOptions<State> | undefined,
    runtime: Runtime,
    schemaVersions: Readonly<Record<string, number>> | 'any' = {},
  ) {
    this.#log = log
    this.#schemaVersions = schemaVersions
    this.#decider = decider
    this.#snapshots = snapshots && new StateCache(snapshots, runtime)
  }

  async load(stream: string, at?: Moment): Promise<Seen<State>> {
    const until = at && (await this.#untilOf(stream, at))
    if (until?.to === START) return this.#start()
    const snapshot = await this.#snapshotOf(stream, until)
    const fromIt = snapshot && (await this.#replay(stream, snapshot, until))
    if (snapshot && !fromIt) await this.#snapshots?.forget(stream)
    const seen = fromIt ?? (await this.#replay(stream, this.#start(), until))!
    if (!at) await this.#keep(stream, seen)
    else if ('revision' in at && (seen.revision === 'none' || seen.revision < at.revision))
      throw notYet(`${stream} is at revision ${seen.revision}, and has no revision ${at.revision} yet`)
    return seen
  }

  /** As it was when an event of this revision happened. */
  loadBefore(stream: string, revision: number): Promise<Seen<State>> {
    return revision === 0 ? Promise.resolve(this.#start()) : this.load(stream, { revision: revision - 1 })
  }

  /**
   * The state after an event.
   *
   * @throws `BANYAN_EVENT_NEWER` for one that the decider would take for something else
   */
  evolve(state: State, event: Event & { readonly schemaVersion?: number; readonly stream?: string }): State {
    const { type, schemaVersion = 1 } = event
    if (schemaVersion > 1) this.#mustKnow(type, schemaVersion)
    return this.#decider.evolve(state, event)
  }

  #mustKnow(type: string, version: number): void {
    if (this.#schemaVersions === 'any') return
    const newest = this.#schemaVersions[type] ?? this.#log.newestVersion?.(type) ?? 1
    if (version > newest)
      throw eventError(
        'BANYAN_EVENT_NEWER',
        `an event ${type} has schemaVersion ${version}, and the decider takes it up to ${newest}. ` +
          `Say schemaVersions: { ${type}: ${version} } when its evolve takes it, or update this program`,
      )
  }

  /** With what was appended up to a revision. */
  async upTo(stream: string, seen: Seen<State>, toRevision: number): Promise<Seen<State>> {
    return (await this.#replay(stream, { ...seen, checked: true }, { toRevision }))!
  }

  /** With what was appended since. */
  async goOn(stream: string, seen: Seen<State>): Promise<Seen<State>> {
    return (await this.#replay(stream, { ...seen, checked: true }))!
  }

  /** A commit to a stream, wherever in it. */
  async find(
    stream: string,
    commit: string,
    { commits, since }: Seen<State>,
  ): Promise<CommitSeen | undefined> {
    const known = commits.get(commit)
    if (known || since === 0) return known
    let found: CommitSeen | undefined
    for await (const event of this.#log.read({ stream }, { toRevision: since - 1 }))
      if (event.commit === commit) found = seenOf(event, found)
    return found
  }

  #start(): Seen<State> {
    return {
      state: this.#decider.initialState(),
      revision: 'none',
      last: undefined,
      since: 0,
      commits: new Map(),
    }
  }

  async #untilOf(stream: string, at: Moment): Promise<ReadOptions> {
    checkMoment(at)
    if ('revision' in at) return { toRevision: at.revision }
    const to = 'position' in at ? at.position : await this.#log.positionAt(at.time + 1)
    if ('position' in at && to > (await this.#log.head()))
      throw notYet(`position ${to} is behind the end of the log`)
    if (to === START) return { to }
    // Where that is in the stream: a snapshot is of a revision.
    for await (const { revision } of this.#log.read({ stream }, { to, backwards: true, limit: 1 }))
      return { toRevision: revision }
    return { to }
  }

  async #snapshotOf(stream: string, until: ReadOptions = {}): Promise<Seen<State> | undefined> {
    // Nothing of the stream was there.
    if (until.to !== undefined) return undefined
    const found = await this.#snapshots?.read(stream, until.toRevision)
    return found && { ...found, since: found.revision + 1, commits: new Map() }
  }

  async #keep(stream: string, { state, revision, last, since }: Seen<State>): Promise<void> {
    if (revision === 'none' || last === undefined) return
    await this.#snapshots?.write(stream, { state, revision, last }, revision + 1 - since)
  }

  /** What follows from a state; undefined if it is of another history: the log has another event where it ends, or none. */
  async #replay(
    stream: string,
    base: Seen<State> & { checked?: boolean },
    until: ReadOptions = {},
    isAgain = false,
  ): Promise<Seen<State> | undefined> {
    let { state, revision, last } = base
    const commits = new Map(base.commits)
    const mustCheck = revision !== 'none' && !base.checked
    const first = revision === 'none' ? 0 : mustCheck ? revision : revision + 1
    let isEmpty = true
    for await (const event of this.#log.read<Event>({ stream }, { ...until, fromRevision: first })) {
      isEmpty = false
      if (event.revision === revision) {
        if (event.id !== last) return undefined
        continue
      }
      // The last event of a snapshot may be truncated, those behind it may not.
      const wanted = revision === 'none' ? 0 : revision + 1
      if (event.revision !== wanted) throw truncated(stream, wanted, event.revision)
      state = this.evolve(state, event as unknown as Event)
      revision = event.revision
      last = event.id
      commits.set(event.commit, seenOf(event, commits.get(event.commit)))
    }
    if (isEmpty && !base.checked) {
      const actual = await this.#log.revision(stream)
      if (revision === 'none') {
        if (actual !== 'none') await this.#mustBeginLater(stream, actual)
      } else {
        // Of another history: what is here does not come that far.
        if (actual === 'none' || actual < revision) return undefined
        const wanted = Math.min(until.toRevision ?? Infinity, actual)
        if (wanted > revision) {
          if (isAgain) throw truncated(stream, revision + 1, wanted + 1)
          // What stands behind it was truncated, or has come just now.
          return this.#replay(stream, base, { toRevision: wanted }, true)
        }
      }
    }
    return { state, revision, last, since: base.since, commits }
  }

  /** Nothing of a stream was there yet at a moment; or what was there was truncated. */
  async #mustBeginLater(stream: string, last: number): Promise<void> {
    for await (const { revision } of this.#log.read({ stream }, { limit: 1 })) {
      if (revision === 0) return
      throw truncated(stream, 0, revision)
    }
    throw truncated(stream, 0, last + 1)
  }
}

function seenOf(
  { position, metadata }: { readonly position: Position; readonly metadata: Metadata },
  before: CommitSeen | undefined,
): CommitSeen {
  return before
    ? { position, events: before.events + 1, metadata: before.metadata }
    : { position, events: 1, metadata }
}

function truncated(stream: string, wanted: number, found: number): Error {
  return eventError(
    'BANYAN_HISTORY_TRUNCATED',
    `the events of ${stream} from revision ${wanted} to ${found - 1} were truncated, and no snapshot has what they made: ` +
      'its state cannot be told. Keep snapshots of streams that are truncated, or import their events again',
  )
}
