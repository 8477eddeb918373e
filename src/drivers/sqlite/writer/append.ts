import type { Database, Statement } from 'better-sqlite3'
import type { EncodedCommit, EncodedEvent, EncodedStream } from '../../../events/driver.js'
import type { Expected } from '../../../events/log.js'
import { seal } from '../seal.js'
import type { WriterOutcome } from '../wire.js'
import { Heads, type Head } from './heads.js'

/** The row of `log`. */
interface LogRow {
  head: number
  recorded: number
  events: number
  commits: number
}

/** Appends commits inside a transaction that is open. */
export class Appending {
  readonly #heads: Heads
  readonly #dataVersion: Statement<[], number>
  readonly #selectLog: Statement<[], LogRow>
  readonly #updateLog: Statement<[number, number, number, number]>
  readonly #selectId: Statement<[string], [number | null, number, string]>
  readonly #insertId: Statement<[string, number | null, number, string]>
  readonly #insertEvent: Statement
  readonly #insertTag: Statement<[string, number]>
  /** What `PRAGMA data_version` said when `#log` and `#heads` were right; it changes when another connection writes. */
  #version = -1
  #log: LogRow = { head: 0, recorded: 0, events: 0, commits: 0 }

  constructor(db: Database) {
    this.#heads = new Heads(db)
    this.#dataVersion = db.prepare<[], number>('PRAGMA data_version').pluck()
    this.#selectLog = db.prepare('SELECT head, recorded, events, commits FROM log')
    this.#updateLog = db.prepare('UPDATE log SET head = ?, recorded = ?, events = ?, commits = ?')
    this.#selectId = db
      .prepare<[string], [number | null, number, string]>(
        'SELECT digest, position, revisions FROM ids WHERE id = ?',
      )
      .raw()
    this.#insertId = db.prepare('INSERT INTO ids VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING')
    this.#insertEvent = db.prepare(
      `INSERT INTO events (position, stream, revision, category, commit_id, ordinal, id, type, schema_version, time,
         recorded, tags, metadata, checksum, data)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    )
    this.#insertTag = db.prepare('INSERT INTO tags VALUES (?, ?)')
  }

  /** Position of the last event, as of the last group. */
  get head(): number {
    return this.#log.head
  }

  /** Appends each commit of a group, in order. If it throws, the transaction must be rolled back. */
  appendAll(group: readonly EncodedCommit[]): WriterOutcome[] {
    this.#refresh()
    const before = this.#log.head
    try {
      const outcomes = group.map((commit) => this.#append(commit))
      const { head, recorded, events, commits } = this.#log
      if (head > before) this.#updateLog.run(head, recorded, events, commits)
      return outcomes
    } catch (error) {
      this.forget()
      throw error
    }
  }

  /** To be called when what was appended was rolled back, or changed by other means than this. */
  forget(): void {
    this.#version = -1
  }

  #refresh(): void {
    const version = this.#dataVersion.get()!
    if (version === this.#version) return
    this.#heads.clear()
    this.#log = this.#selectLog.get()!
    this.#version = version
  }

  #append(commit: EncodedCommit): WriterOutcome {
    const heads = commit.streams.map(({ stream }) => this.#heads.find(stream))
    const fits =
      commit.streams.every(({ expected }, index) => holds(expected, heads[index])) &&
      commit.checks.every(({ stream, expected }) => holds(expected, this.#heads.find(stream)))
    if (!fits || commit.streams.length === 0) return this.#known(commit) ?? this.#checked(commit)

    for (const { events } of commit.streams)
      for (const { id } of events)
        if (id !== undefined && id !== commit.id && this.#selectId.get(id))
          return this.#known(commit) ?? { kind: 'overlap', id }

    const revisions = commit.streams.map(({ events }, index) => lastRevision(heads[index]) + events.length)
    const position = this.#log.head + commit.events
    const inserted = this.#insertId.run(commit.id, commit.digest, position, JSON.stringify(revisions))
    if (inserted.changes === 0) return this.#known(commit)!
    this.#write(commit, heads)
    return { kind: 'appended', position, revisions, duplicate: false }
  }

  /** What was answered when the id of the commit was first used, if it was. */
  #known({ id, digest }: EncodedCommit): WriterOutcome | undefined {
    const row = this.#selectId.get(id)
    if (!row) return undefined
    const [knownDigest, position, revisions] = row
    if (knownDigest !== digest) return { kind: 'overlap', id }
    return {
      kind: 'appended',
      position,
      revisions: JSON.parse(revisions) as number[],
      duplicate: true,
    }
  }

  /** What a commit that writes nothing, or that does not fit, is answered. */
  #checked({ streams, checks }: EncodedCommit): WriterOutcome {
    const conflicts = [...streams, ...checks]
      .map(({ stream, expected }) => ({ stream, expected, head: this.#heads.find(stream) }))
      .filter(({ expected, head }) => !holds(expected, head))
      .map(({ stream, expected, head }) => ({
        stream,
        expected,
        actual: head?.revision ?? ('none' as const),
      }))
    if (conflicts.length > 0) return { kind: 'conflict', conflicts }
    return { kind: 'appended', position: this.#log.head, revisions: [], duplicate: false }
  }

  #write(commit: EncodedCommit, heads: readonly (Head | undefined)[]): void {
    const log = this.#log
    log.recorded = Math.max(log.recorded, commit.recorded)
    commit.streams.forEach((stream, index) => this.#writeStream(commit.id, stream, heads[index]))
    log.events += commit.events
    log.commits++
  }

  #writeStream(commit: string, { stream, category, events }: EncodedStream, known: Head | undefined): void {
    const head = known ?? this.#heads.add(stream, category)
    const { recorded } = this.#log
    for (const event of events) {
      const position = ++this.#log.head
      const revision = ++head.revision
      this.#insertEvent.run(
        position,
        head.id,
        revision,
        head.category,
        commit,
        event.ordinal,
        event.id ?? null,
        event.type,
        event.schemaVersion,
        event.time,
        recorded,
        event.tags.length > 0 ? JSON.stringify(event.tags) : null,
        event.metadata === '' ? null : event.metadata,
        seal(event.checksum, position, revision, recorded),
        event.data ?? null,
      )
      if (event.tags.length > 0) for (const tag of event.tags) this.#insertTag.run(tag, position)
      if (event.id !== undefined && event.id !== commit) this.#writeId(event, position)
    }
  }

  #writeId({ id }: EncodedEvent, position: number): void {
    this.#insertId.run(id!, null, position, '')
  }
}

function lastRevision(head: Head | undefined): number {
  return head?.revision ?? -1
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
