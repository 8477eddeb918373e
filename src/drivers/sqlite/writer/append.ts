import type { Database, Statement } from 'better-sqlite3'
import type { EncodedCommit, EncodedEvent, EncodedStream } from '../../../events/driver.js'
import type { Expected } from '../../../events/log.js'
import { categoryOf } from '../../../events/names.js'
import { parsePosition } from '../../../events/position.js'
import { notLeader, type ShippedCommit } from '../../../events/replica.js'
import { readReplica, type KeptState } from '../replica-table.js'
import { seal } from '../seal.js'
import type { WriterOutcome } from '../wire.js'
import type { LogTable } from '../log-table.js'
import type { LogRow } from '../rows.js'
import { Chains } from './chains.js'
import { Heads, type Head } from './heads.js'
import { Ids } from './ids.js'
import { Tail } from './tail.js'

/** Appends of others up to which what is remembered is brought up to date; behind more it is forgotten. */
const CATCH_UP = 10_000

/** Appends commits inside a transaction that is open. */
export class Appending {
  readonly #tail: Tail
  readonly #heads: Heads
  readonly #ids: Ids
  readonly #chains: Chains
  readonly #table: LogTable
  readonly #readReplica: () => KeptState
  readonly #insertOutcome: Statement<[string, number, number, string]>
  readonly #insertId: Statement<[string, number]>
  readonly #dataVersion: Statement<[], number>
  readonly #insertPlain: Statement
  readonly #insert: Statement
  /** What `PRAGMA data_version` said when all that is remembered was right; it changes when another connection writes. */
  #version: number | undefined
  #replica: KeptState | undefined
  #log: LogRow = { head: 0, recorded: 0, indexed: 0, events: 0, commits: 0, truncated: 0, missed: 0 }

  constructor(db: Database, file: string, log: LogTable) {
    this.#tail = new Tail(db)
    this.#heads = new Heads(db, file, this.#tail)
    this.#ids = new Ids(db, this.#tail)
    this.#chains = new Chains(db, file, this.#tail)
    this.#table = log
    this.#readReplica = () => readReplica(db, file)
    this.#insertOutcome = db.prepare('INSERT INTO truncated_commits VALUES (?, ?, ?, ?)')
    this.#insertId = db.prepare('INSERT INTO id_index VALUES (?, ?)')
    this.#dataVersion = db.prepare<[], number>('PRAGMA data_version').pluck()
    const columns = `position, stream, revision, category, category_previous, commit_id, ordinal, digest, type,
      schema_version, time, recorded, checksum, data`
    this.#insertPlain = db.prepare(
      `INSERT INTO events (${columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#insert = db.prepare(
      `INSERT INTO events (${columns}, id, tags, tags_previous, metadata)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
  }

  /** Position of the last event, as of the last transaction. */
  get head(): number {
    return this.#log.head
  }

  /** How many events are not in the indexes, as of the last transaction. */
  get unindexed(): number {
    return this.#log.head - this.#log.indexed
  }

  /** Appends each commit of a group, in order. If it throws, the transaction must be rolled back. */
  appendAll(group: readonly EncodedCommit[]): WriterOutcome[] {
    this.mustLead()
    this.#ids.findAll(group)
    const before = this.#log.head
    const outcomes = group.map((commit) => this.#append(commit))
    if (this.#log.head > before) this.#table.write(this.#log)
    return outcomes
  }

  /**
   * In a transaction that is to change what is the leader's to change.
   *
   * @throws `BANYAN_READ_ONLY`, `BANYAN_LOG_FENCED`
   */
  mustLead(): void {
    this.#refresh()
    if (this.#replica!.role !== 'leader') throw notLeader(this.#replica!)
  }

  /** What the log is, in a transaction. */
  replica(): KeptState {
    this.#refresh()
    return this.#replica!
  }

  /** The revision that a stream goes on with. */
  nextRevision(stream: string): number {
    return (this.#heads.find(stream)?.revision ?? -1) + 1
  }

  /** Adds a stream without events, if it is not there. */
  addStream(stream: string, category: string): void {
    if (!this.#heads.find(stream)) this.#heads.add(stream, category)
  }

  /** Writes a commit to the places that it has at a leader. Revisions go on where their streams end. */
  place({ id, digest, outcome, events }: ShippedCommit): void {
    const log = this.#log
    const first = parsePosition(events[0]!.position)
    this.#tail.takeForCommit(id, first)
    for (const event of events) {
      const { stream, revision, recorded } = event
      const head = this.#heads.find(stream) ?? this.#heads.add(stream, categoryOf(stream))
      this.#leaveOut(parsePosition(event.position) - 1)
      log.head++
      log.events++
      log.recorded = recorded
      head.revision = revision
      this.#insertEvent({ id, digest }, event, head, recorded)
    }
    log.commits++
    if (!outcome) return
    this.#insertOutcome.run(id, digest, parsePosition(outcome.position), JSON.stringify(outcome.revisions))
    // The index is filled by the first events of commits.
    if (events[0]!.ordinal !== 0) this.#insertId.run(id, first)
  }

  /** The log goes on behind a position; what would be before it was removed. */
  endAt(position: number): void {
    this.#leaveOut(position)
    this.#table.write(this.#log)
  }

  #leaveOut(upTo: number): void {
    if (upTo <= this.#log.head) return
    this.#log.head = upTo
    this.#log.truncated = upTo
  }

  /** To be called when what was written was rolled back, or was changed by other means than this. */
  forget(): void {
    this.#version = undefined
  }

  /** What is not in the indexes, with what others have appended. In a transaction. */
  tail(): Tail {
    this.#refresh()
    return this.#tail
  }

  /** To be called when everything has come into the indexes. */
  indexed(): void {
    this.#log.indexed = this.#log.head
    this.#tail.clear()
    this.#chains.clear()
  }

  #refresh(): void {
    const version = this.#dataVersion.get()!
    if (version === this.#version) return
    const known = this.#version === undefined ? undefined : this.#log
    const now = this.#table.read()
    this.#chains.clear()
    this.#heads.othersWrote()
    // What was truncated before this process saw it cannot be caught up with.
    if (known && now.head - known.head <= CATCH_UP && now.truncated <= known.head) {
      this.#tail.load(known.head, ({ stream, revision }) => this.#heads.moved(stream, revision))
      this.#tail.dropUpTo(now.indexed)
    } else {
      this.#heads.clear()
      this.#tail.clear()
      this.#tail.load(now.indexed, () => undefined)
    }
    this.#log = now
    this.#replica = this.#readReplica()
    this.#version = version
  }

  #append(commit: EncodedCommit): WriterOutcome {
    const { id, streams, checks } = commit
    if (this.#ids.has(id)) return this.#repeated(commit)
    for (const { events } of streams)
      for (const event of events)
        if (event.id !== undefined && this.#ids.has(event.id)) return { kind: 'overlap', id: event.id }

    const heads = streams.map(({ stream }) => this.#heads.find(stream))
    const fits =
      streams.every(({ expected }, index) => holds(expected, heads[index])) &&
      checks.every(({ stream, expected }) => holds(expected, this.#heads.find(stream)))
    if (!fits) return this.#conflicts(commit)
    // What only checks leaves no trace, not even its id: asked again, it checks again.
    if (streams.length === 0)
      return { kind: 'appended', position: this.#log.head, revisions: [], duplicate: false }
    return this.#write(commit, heads)
  }

  /** What is answered to a commit whose id is taken. */
  #repeated({ id, digest }: EncodedCommit): WriterOutcome {
    const taken = this.#ids.taken(id)
    if (taken?.by !== 'commit' || taken.digest !== digest) return { kind: 'overlap', id }
    const { position, revisions } = taken
    return { kind: 'appended', position, revisions, duplicate: true }
  }

  #conflicts({ streams, checks }: EncodedCommit): WriterOutcome {
    const conflicts = [...streams, ...checks]
      .map(({ stream, expected }) => ({ stream, expected, head: this.#heads.find(stream) }))
      .filter(({ expected, head }) => !holds(expected, head))
      .map(({ stream, expected, head }) => ({
        stream,
        expected,
        actual: head?.revision ?? ('none' as const),
      }))
    return { kind: 'conflict', conflicts }
  }

  #write(commit: EncodedCommit, heads: readonly (Head | undefined)[]): WriterOutcome {
    const log = this.#log
    log.recorded = Math.max(log.recorded, commit.recorded)
    log.events += commit.events
    log.commits++
    this.#tail.takeForCommit(commit.id, log.head + 1)
    const revisions = commit.streams.map((stream, index) => {
      const head = heads[index] ?? this.#heads.add(stream.stream, stream.category)
      this.#writeStream(commit, stream, head)
      return head.revision
    })
    return { kind: 'appended', position: log.head, revisions, duplicate: false }
  }

  #writeStream(commit: EncodedCommit, { events }: EncodedStream, head: Head): void {
    const log = this.#log
    const { recorded } = log
    for (const event of events) {
      log.head++
      head.revision++
      this.#insertEvent(commit, event, head, recorded)
    }
  }

  /** Where the log and the stream end now. */
  #insertEvent(
    commit: { readonly id: string; readonly digest: number },
    { id, ordinal, type, schemaVersion, time, tags, metadata, data, checksum }: EncodedEvent,
    { id: stream, category, revision }: Head,
    recorded: number,
  ): void {
    const position = this.#log.head
    const previous = this.#chains.lastOfCategory(category)
    const digest = ordinal === 0 ? commit.digest : null
    const sealed = seal(checksum, position, revision, recorded)
    const content = data ?? null
    if (id === undefined && metadata === '' && tags.length === 0)
      this.#insertPlain.run(
        position,
        stream,
        revision,
        category,
        previous,
        commit.id,
        ordinal,
        digest,
        type,
        schemaVersion,
        time,
        recorded,
        sealed,
        content,
      )
    else {
      const tagged = tags.length > 0
      this.#insert.run(
        position,
        stream,
        revision,
        category,
        previous,
        commit.id,
        ordinal,
        digest,
        type,
        schemaVersion,
        time,
        recorded,
        sealed,
        content,
        id ?? null,
        tagged ? JSON.stringify(tags) : null,
        tagged ? JSON.stringify(tags.map((tag) => this.#chains.lastOfTag(tag))) : null,
        metadata || null,
      )
      if (id !== undefined && id !== commit.id) this.#tail.takeForEvent(id, position)
    }
    this.#tail.add({ position, stream, revision, category, tags })
  }
}

function holds(expected: Expected, head: Head | undefined): boolean {
  switch (expected) {
    case 'any':
      return true
    case 'none':
      return head === undefined
    case 'exists':
      return head !== undefined
    default:
      return head?.revision === expected
  }
}
