import type { Database, Statement } from 'better-sqlite3'
import type { EncodedCommit } from '../../../events/driver.js'
import type { Tail } from './tail.js'

/** What was answered to a commit, or to no commit, when its id was taken. */
export type Taken =
  | { readonly by: 'event' }
  | {
      readonly by: 'commit'
      readonly digest: number
      readonly position: number
      readonly revisions: readonly number[]
    }

type Row = [stream: number, revision: number, commit: string, ordinal: number, digest: number | null]

/** Which ids are taken, and by what. Found for a whole group at once, as asking for each would cost more than the answer. */
export class Ids {
  readonly #tail: Tail | undefined
  readonly #found = new Set<string>()
  readonly #select: Statement<[string], string>
  readonly #selectOne: Statement<[string], number>
  readonly #selectEvents: Statement<[number], Row>
  readonly #selectTruncated: Statement<[string], { digest: number; position: number; revisions: string }>

  /** @param tail - of what is not in the index; none if everything is */
  constructor(db: Database, tail?: Tail) {
    this.#tail = tail
    this.#selectOne = db.prepare<[string], number>('SELECT position FROM id_index WHERE id = ?').pluck()
    this.#select = db
      .prepare<[string], string>('SELECT id FROM id_index WHERE id IN (SELECT value FROM json_each(?))')
      .pluck()
    this.#selectEvents = db
      .prepare<[number], Row>(
        'SELECT stream, revision, commit_id, ordinal, digest FROM events WHERE position >= ? ORDER BY position',
      )
      .raw()
    this.#selectTruncated = db.prepare(
      'SELECT digest, position, revisions FROM truncated_commits WHERE id = ?',
    )
  }

  /** Looks up all ids of a group in the index. */
  findAll(group: readonly EncodedCommit[]): void {
    const ids: string[] = []
    for (const { id, streams } of group) {
      ids.push(id)
      for (const { events } of streams)
        for (const event of events) if (event.id !== undefined) ids.push(event.id)
    }
    this.#found.clear()
    for (const id of this.#select.all(JSON.stringify(ids))) this.#found.add(id)
  }

  /** Whether an id of the group is taken. */
  has(id: string): boolean {
    return this.#tail?.positionOfId(id) !== undefined || (this.#found.size > 0 && this.#found.has(id))
  }

  /** What has taken an id, if anything has. */
  taken(id: string): Taken | undefined {
    const first = this.#tail?.positionOfId(id) ?? this.#selectOne.get(id)
    if (first === undefined) return undefined
    const truncated = this.#selectTruncated.get(id)
    if (!truncated) return this.#commitAt(id, first)
    return { by: 'commit', ...truncated, revisions: JSON.parse(truncated.revisions) as number[] }
  }

  /** What a commit was answered, from its events; the first is at a position. */
  #commitAt(id: string, first: number): Taken {
    let digest: number | null = null
    let position = first
    let last: number | undefined
    const revisions: number[] = []
    for (const [stream, revision, commit, ordinal, itsDigest] of this.#selectEvents.iterate(first)) {
      // An id that an event was given is at an event of another commit, or at one that is not its first.
      if (commit !== id || (last === undefined && ordinal !== 0)) break
      digest ??= itsDigest
      position = first + ordinal
      // All events of one stream stand together, in the order of the commit.
      if (stream === last) revisions[revisions.length - 1] = revision
      else revisions.push(revision)
      last = stream
    }
    return digest === null ? { by: 'event' } : { by: 'commit', digest, position, revisions }
  }
}
