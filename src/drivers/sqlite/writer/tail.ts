import type { Database, Statement } from 'better-sqlite3'

/** The last event of a stream in the tail. */
interface Last {
  readonly revision: number
  readonly position: number
}

/**
 * What a writer has to know of the events that are not in the indexes yet: the ids they took, and how far they bring
 * their streams.
 */
export class Tail {
  readonly #ids = new Map<string, number>()
  readonly #streams = new Map<number, Last>()
  readonly #select: Statement<
    [number],
    [position: number, stream: number, revision: number, commit: string, ordinal: number, id: string | null]
  >

  constructor(db: Database) {
    this.#select = db
      .prepare<[number], [number, number, number, string, number, string | null]>(
        'SELECT position, stream, revision, commit_id, ordinal, id FROM events WHERE position > ? ORDER BY position',
      )
      .raw()
  }

  /** Position of the first event of the commit that took an id, or of the event that did. */
  positionOf(id: string): number | undefined {
    return this.#ids.get(id)
  }

  /** The last revision of a stream, if an event of it is in the tail. */
  revisionOf(stream: number): number | undefined {
    return this.#streams.get(stream)?.revision
  }

  add(position: number, stream: number, revision: number): void {
    this.#streams.set(stream, { revision, position })
  }

  /** An id is taken from now on. */
  take(id: string, position: number): void {
    this.#ids.set(id, position)
  }

  /** Adds the events behind a position, which others have appended. */
  load(after: number, onEvent: (stream: number, revision: number) => void): void {
    for (const [position, stream, revision, commit, ordinal, id] of this.#select.all(after)) {
      this.add(position, stream, revision)
      if (ordinal === 0) this.take(commit, position)
      if (id !== null && id !== commit) this.take(id, position)
      onEvent(stream, revision)
    }
  }

  /** Forgets events up to a position: they are in the indexes now. */
  dropUpTo(indexed: number): void {
    for (const [id, position] of this.#ids) if (position <= indexed) this.#ids.delete(id)
    for (const [stream, { position }] of this.#streams) if (position <= indexed) this.#streams.delete(stream)
  }

  clear(): void {
    this.#ids.clear()
    this.#streams.clear()
  }
}
