import type { Database, Statement } from 'better-sqlite3'

/** What a writer has to know of an event that is not in the indexes yet. */
export interface TailEvent {
  readonly position: number
  readonly stream: number
  readonly revision: number
  readonly category: number
  readonly tags: readonly string[]
}

type Row = [
  position: number,
  stream: number,
  revision: number,
  category: number,
  tags: string | null,
  commit: string,
  ordinal: number,
  id: string | null,
]

/** The events that are not in the indexes yet: the ids they took, and which are the last of their streams, categories and tags. */
export class Tail {
  readonly #select: Statement<[number], Row>
  readonly #ids = new Map<string, number>()
  readonly #streams = new Map<number, TailEvent>()
  readonly #categories = new Map<number, TailEvent>()
  readonly #tags = new Map<string, TailEvent>()
  #givenIds = 0

  constructor(db: Database) {
    this.#select = db
      .prepare<[number], Row>(
        `SELECT position, stream, revision, category, tags, commit_id, ordinal, id FROM events
         WHERE position > ? ORDER BY position`,
      )
      .raw()
  }

  /** Position of the first event of the commit that took an id, or of the event that did. */
  positionOfId(id: string): number | undefined {
    return this.#ids.get(id)
  }

  /** Whether an event was given an id of its own. */
  get hasGivenIds(): boolean {
    return this.#givenIds > 0
  }

  /** The last event with each tag. */
  get tags(): ReadonlyMap<string, TailEvent> {
    return this.#tags
  }

  lastOfStream(stream: number): TailEvent | undefined {
    return this.#streams.get(stream)
  }

  lastOfCategory(category: number): TailEvent | undefined {
    return this.#categories.get(category)
  }

  lastOfTag(tag: string): TailEvent | undefined {
    return this.#tags.get(tag)
  }

  add(event: TailEvent): void {
    this.#streams.set(event.stream, event)
    this.#categories.set(event.category, event)
    for (const tag of event.tags) this.#tags.set(tag, event)
  }

  /** A commit has taken its id. */
  takeForCommit(id: string, position: number): void {
    this.#ids.set(id, position)
  }

  /** An event has taken the id that it was given. */
  takeForEvent(id: string, position: number): void {
    this.#ids.set(id, position)
    this.#givenIds++
  }

  /** Adds the events behind a position, which others have appended. */
  load(after: number, onEvent: (event: TailEvent) => void): void {
    for (const [position, stream, revision, category, tags, commit, ordinal, id] of this.#select.all(after)) {
      const event = {
        position,
        stream,
        revision,
        category,
        tags: tags === null ? [] : (JSON.parse(tags) as string[]),
      }
      this.add(event)
      if (ordinal === 0) this.takeForCommit(commit, position)
      if (id !== null && id !== commit) this.takeForEvent(id, position)
      onEvent(event)
    }
  }

  /** Forgets events up to a position: they are in the indexes now. */
  dropUpTo(indexed: number): void {
    for (const [id, position] of this.#ids) if (position <= indexed) this.#ids.delete(id)
    if (this.#ids.size === 0) this.#givenIds = 0
    for (const map of [this.#streams, this.#categories, this.#tags] as Map<unknown, TailEvent>[])
      for (const [key, { position }] of map) if (position <= indexed) map.delete(key)
  }

  clear(): void {
    for (const map of [this.#ids, this.#streams, this.#categories, this.#tags]) map.clear()
    this.#givenIds = 0
  }
}
