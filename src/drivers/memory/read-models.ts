import { eventError } from '../../events/errors.js'
import { MovedError } from '../../events/projections/store.js'
import type {
  CheckpointRow,
  Maybe,
  ParkedQuery,
  ParkedRow,
  ReadModelStore,
  StoreTransaction,
  StoreView,
  View,
} from '../../events/projections/store.js'

/** The tables of a read model in memory, as they are at one moment. */
export interface MemoryTables {
  /** Makes a table, in `setup`. */
  create(name: string): void
  /**
   * A table, or what a view stands for.
   *
   * @throws an error if it was never made
   */
  table<Row = unknown>(name: string): MemoryTable<Row>
}

/** Rows by key. What is set and what is got are copies. */
export interface MemoryTable<Row> {
  get(key: string): Row | undefined
  set(key: string, row: Row): void
  delete(key: string): void
  /** In order of their keys. */
  entries(): [key: string, row: Row][]
}

/** What is there; maps are replaced when they change, so that whoever has begun before sees them as they were. */
interface State {
  readonly rows: ReadonlyMap<string, CheckpointRow>
  readonly parked: ReadonlyMap<string, ParkedRow>
  readonly tables: ReadonlyMap<string, ReadonlyMap<string, unknown>>
  readonly views: ReadonlyMap<string, string>
}

/**
 * Read models in the memory of one process: for tests. Transactions see the moment at which they have begun, and two that
 * change the same row of a projection from the same revision cannot both happen, as in the other engines.
 */
export function memoryReadModels(): ReadModelStore<MemoryTables> {
  return new MemoryReadModels()
}

class MemoryReadModels implements ReadModelStore<MemoryTables> {
  readonly engine = 'memory'
  readonly transactional = true
  #state: State = { rows: new Map(), parked: new Map(), tables: new Map(), views: new Map() }
  #closed = false

  async read<Result>(work: (view: StoreView<MemoryTables>) => Maybe<Result>): Promise<Result> {
    const view = this.#begin(true)
    try {
      return await work(view)
    } finally {
      view.end()
    }
  }

  async write<Result>(work: (transaction: StoreTransaction<MemoryTables>) => Maybe<Result>): Promise<Result> {
    const transaction = this.#begin(false)
    try {
      const result = await work(transaction)
      this.#state = transaction.commit(this.#state)
      return result
    } finally {
      transaction.end()
    }
  }

  close(): Promise<void> {
    this.#closed = true
    return Promise.resolve()
  }

  #begin(readOnly: boolean): MemoryTransaction {
    if (this.#closed) throw eventError('BANYAN_READ_MODEL_CLOSED', 'the read models are closed')
    return new MemoryTransaction(this.#state, readOnly)
  }
}

type Change = (state: Draft) => void

/** A state in the making; each map is copied when it is changed first. */
class Draft {
  rows: Map<string, CheckpointRow> | undefined
  parked: Map<string, ParkedRow> | undefined
  tables: Map<string, ReadonlyMap<string, unknown>> | undefined
  views: Map<string, string> | undefined
  readonly #base: State
  readonly #copied = new Map<string, Map<string, unknown>>()

  constructor(base: State) {
    this.#base = base
  }

  get state(): State {
    const { rows, parked, tables, views } = this.#base
    return {
      rows: this.rows ?? rows,
      parked: this.parked ?? parked,
      tables: this.tables ?? tables,
      views: this.views ?? views,
    }
  }

  changeRows(): Map<string, CheckpointRow> {
    return (this.rows ??= new Map(this.#base.rows))
  }

  changeParked(): Map<string, ParkedRow> {
    return (this.parked ??= new Map(this.#base.parked))
  }

  changeTables(): Map<string, ReadonlyMap<string, unknown>> {
    return (this.tables ??= new Map(this.#base.tables))
  }

  changeViews(): Map<string, string> {
    return (this.views ??= new Map(this.#base.views))
  }

  changeTable(name: string): Map<string, unknown> {
    let table = this.#copied.get(name)
    if (!table) {
      table = new Map(this.state.tables.get(name))
      this.#copied.set(name, table)
      this.changeTables().set(name, table)
    }
    return table
  }
}

class MemoryTransaction implements StoreTransaction<MemoryTables>, MemoryTables {
  readonly #draft: Draft
  /** What is done again on what is there when it ends. */
  readonly #changes: Change[] = []
  readonly #readOnly: boolean
  #ended = false

  constructor(base: State, readOnly: boolean) {
    this.#draft = new Draft(base)
    this.#readOnly = readOnly
  }

  get db(): MemoryTables {
    return this
  }

  /** Everything that was changed, on a state that may have gone on since this one began. */
  commit(state: State): State {
    const draft = new Draft(state)
    for (const change of this.#changes) change(draft)
    return draft.state
  }

  end(): void {
    this.#ended = true
  }

  rows(name?: string): CheckpointRow[] {
    return [...this.#state.rows.values()]
      .filter((row) => name === undefined || row.name === name)
      .sort((a, b) => (a.name === b.name ? a.version - b.version : a.name < b.name ? -1 : 1))
  }

  parked(name: string, version: number, { after = '', key, limit }: ParkedQuery): ParkedRow[] {
    return [...this.#state.parked.values()]
      .filter((row) => row.name === name && row.version === version && row.position > after)
      .filter((row) => key === undefined || row.key === key)
      .sort((a, b) => (a.position < b.position ? -1 : 1))
      .slice(0, limit)
  }

  describe(tables: readonly string[]): (string | undefined)[] {
    return tables.map((name) => (this.#state.tables.has(name) ? 'table' : undefined))
  }

  lock(name: string, version: number): CheckpointRow | undefined {
    const id = rowId(name, version)
    const row = this.#state.rows.get(id)
    // It is not locked: whoever changes it meanwhile lets this transaction fail.
    if (row) this.#changes.push((draft) => mustBeAt(draft, id, row.revision))
    return row
  }

  put(row: CheckpointRow, previous: number | undefined): void {
    const id = rowId(row.name, row.version)
    this.#change((draft) => {
      mustBeAt(draft, id, previous)
      for (const other of draft.state.rows.values())
        if (row.active && other.active && other.name === row.name && other.version !== row.version)
          throw new MovedError()
      draft.changeRows().set(id, row)
    })
  }

  remove(name: string, version: number, previous: number): void {
    const id = rowId(name, version)
    this.#change((draft) => {
      mustBeAt(draft, id, previous)
      draft.changeRows().delete(id)
      for (const [key, row] of draft.state.parked)
        if (row.name === name && row.version === version) draft.changeParked().delete(key)
    })
  }

  park(row: ParkedRow): void {
    this.#change((draft) => void draft.changeParked().set(parkedId(row.name, row.version, row.position), row))
  }

  unpark(name: string, version: number, position: string): void {
    this.#change((draft) => void draft.changeParked().delete(parkedId(name, version, position)))
  }

  tables(prefix: string): string[] {
    return [...this.#state.tables.keys()].filter((name) => name.startsWith(prefix))
  }

  publish(views: readonly View[], retired: readonly string[]): void {
    this.#change((draft) => {
      for (const name of retired) draft.changeViews().delete(name)
      for (const { name, table } of views) draft.changeViews().set(name, table)
    })
  }

  drop(tables: readonly string[]): void {
    this.#change((draft) => {
      for (const name of tables) draft.changeTables().delete(name)
    })
  }

  create(name: string): void {
    if (this.#state.tables.has(name)) throw new Error(`there is a table ${name} already`)
    this.#change((draft) => void draft.changeTables().set(name, new Map()))
  }

  table<Row>(given: string): MemoryTable<Row> {
    const name = this.#state.views.get(given) ?? given
    const rows = (): ReadonlyMap<string, unknown> => {
      const table = this.#state.tables.get(name)
      if (!table) throw new Error(`there is no table ${given}; setup makes it with create`)
      return table
    }
    rows()
    return {
      get: (key) => structuredClone(rows().get(key)) as Row | undefined,
      set: (key, row) => {
        const copy = structuredClone(row)
        this.#change((draft) => void draft.changeTable(name).set(key, copy))
      },
      delete: (key) => this.#change((draft) => void draft.changeTable(name).delete(key)),
      entries: () =>
        [...rows()]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .map(([key, row]) => [key, structuredClone(row) as Row]),
    }
  }

  get #state(): State {
    if (this.#ended) throw new Error('the transaction has ended: db is of no use after its handler')
    return this.#draft.state
  }

  #change(change: Change): void {
    if (this.#ended) throw new Error('the transaction has ended: db is of no use after its handler')
    if (this.#readOnly) throw new Error('a query only reads')
    change(this.#draft)
    this.#changes.push(change)
  }
}

function mustBeAt(draft: Draft, id: string, previous: number | undefined): void {
  if (draft.state.rows.get(id)?.revision !== previous) throw new MovedError()
}

function rowId(name: string, version: number): string {
  return `${name}/${version}`
}

function parkedId(name: string, version: number, position: string): string {
  return `${name}/${version}/${position}`
}
