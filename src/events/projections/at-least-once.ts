import { MovedError, type CheckpointRow, type ParkedRow, type ReadModelStore } from './store.js'
import type { ParkedQuery, StoreTransaction, StoreView } from './store.js'

/**
 * Where checkpoints are when read models are somewhere else: in a cache, a search engine, anything. Handlers come first and
 * the checkpoint after them, so that they see an event at least once, and have to bear it twice.
 */
export interface CheckpointStore {
  /** The text under a key; undefined if there is none. */
  get(key: string): Promise<string | undefined>
  /**
   * Keeps a text, if the present one is `previous` (undefined: none); also if others do the same at the same time.
   *
   * @param next - undefined to delete it
   * @returns whether it was so
   */
  replace(key: string, previous: string | undefined, next: string | undefined): Promise<boolean>
  /** Every key that has a text. */
  keys(): Promise<readonly string[]>
}

interface Document {
  rows: CheckpointRow[]
  parked: ParkedRow[]
}

type Change = (document: Document) => void

/** How often a document is written anew that others change at the same time. */
const TRIES = 100

/** A store of read models that has checkpoints only. */
export function atLeastOnce(checkpoints: CheckpointStore): ReadModelStore<undefined> {
  return {
    engine: 'checkpoints',
    transactional: false,
    read: async (work) => work(new DocumentView(checkpoints)),
    async write(work) {
      const transaction = new DocumentTransaction(checkpoints)
      const result = await work(transaction)
      await transaction.commit()
      return result
    },
    close: () => Promise.resolve(),
  }
}

class DocumentView implements StoreView<undefined> {
  readonly db = undefined
  protected readonly checkpoints: CheckpointStore
  readonly #seen = new Map<string, Promise<Document>>()

  constructor(checkpoints: CheckpointStore) {
    this.checkpoints = checkpoints
  }

  async rows(name?: string): Promise<readonly CheckpointRow[]> {
    const names = name === undefined ? [...(await this.checkpoints.keys())].sort() : [name]
    const documents = await Promise.all(names.map((key) => this.see(key)))
    return documents.flatMap(({ rows }) => [...rows].sort((a, b) => a.version - b.version))
  }

  async parked(
    name: string,
    version: number,
    { after = '', key, limit }: ParkedQuery,
  ): Promise<readonly ParkedRow[]> {
    const { parked } = await this.see(name)
    return parked
      .filter((row) => row.version === version && row.position > after && (key ?? row.key) === row.key)
      .sort((a, b) => (a.position < b.position ? -1 : 1))
      .slice(0, limit)
  }

  describe(tables: readonly string[]): undefined[] {
    return tables.map(() => undefined)
  }

  protected see(name: string): Promise<Document> {
    const document = this.#seen.get(name) ?? this.checkpoints.get(name).then(parse)
    this.#seen.set(name, document)
    return document
  }
}

class DocumentTransaction extends DocumentView implements StoreTransaction<undefined> {
  readonly #changes = new Map<string, Change[]>()

  async lock(name: string, version: number): Promise<CheckpointRow | undefined> {
    const { rows } = await this.see(name)
    return rows.find((row) => row.version === version)
  }

  put(row: CheckpointRow, previous: number | undefined): void {
    this.#change(row.name, (document) => {
      const index = mustBeAt(document, row.version, previous)
      if (row.active && document.rows.some((other) => other.active && other.version !== row.version))
        throw new MovedError()
      document.rows.splice(index < 0 ? document.rows.length : index, 1, row)
    })
  }

  remove(name: string, version: number, previous: number): void {
    this.#change(name, (document) => {
      document.rows.splice(mustBeAt(document, version, previous), 1)
      document.parked = document.parked.filter((row) => row.version !== version)
    })
  }

  park(row: ParkedRow): void {
    this.#change(row.name, (document) => {
      const { version, position } = row
      document.parked = [...document.parked.filter((other) => !isAt(other, version, position)), row]
    })
  }

  unpark(name: string, version: number, position: string): void {
    this.#change(name, (document) => {
      document.parked = document.parked.filter((row) => !isAt(row, version, position))
    })
  }

  tables(): readonly string[] {
    return []
  }

  publish(): void {
    // There are no tables.
  }

  drop(): void {
    // There are no tables.
  }

  async commit(): Promise<void> {
    for (const [name, changes] of this.#changes) await this.#write(name, changes)
  }

  #change(name: string, change: Change): void {
    this.#changes.set(name, [...(this.#changes.get(name) ?? []), change])
  }

  async #write(name: string, changes: readonly Change[]): Promise<void> {
    for (let left = TRIES; left > 0; left--) {
      const previous = await this.checkpoints.get(name)
      const document = parse(previous)
      for (const change of changes) change(document)
      const next = document.rows.length === 0 ? undefined : JSON.stringify(document)
      if (await this.checkpoints.replace(name, previous, next)) return
    }
    throw new MovedError()
  }
}

function parse(text: string | undefined): Document {
  return text === undefined ? { rows: [], parked: [] } : (JSON.parse(text) as Document)
}

/** Where the row of a version is; -1 if there is to be none. */
function mustBeAt({ rows }: Document, version: number, previous: number | undefined): number {
  const index = rows.findIndex((row) => row.version === version)
  if (rows[index]?.revision !== previous) throw new MovedError()
  return index
}

function isAt(row: ParkedRow, version: number, position: string): boolean {
  return row.version === version && row.position === position
}
