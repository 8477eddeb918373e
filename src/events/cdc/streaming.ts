import type { StreamAppend } from '../log.js'
import type { RowChange } from './change.js'
import { supersede } from './discard.js'
import { foldStream } from './in-log.js'
import { Incoming } from './incoming.js'
import { streamOf, type Binding } from './mapping.js'
import { deleteMissing } from './missing.js'
import {
  lsnText,
  parseLsn,
  type ChangeStream,
  type Row,
  type RowMessage,
  type SourceMessage,
  type TableShape,
} from './source.js'
import type { CaptureState } from './state.js'
import { digestOf, keyOrProblem, type Work } from './work.js'

/** How long a place that was reached without a change of ours may go unsaid, in ms: until then the server keeps its log. */
const IDLE_MS = 10_000

/** Follows changes into the log, from where the state says. */
export class Streaming {
  readonly #work: Work
  readonly #stream: ChangeStream
  readonly #bindings: ReadonlyMap<number, Binding>
  #next: CaptureState
  #transaction: Incoming | undefined
  /** Everything committed before has come. */
  #reached: bigint
  #saidAt: number

  constructor(work: Work, stream: ChangeStream) {
    this.#work = work
    this.#stream = stream
    this.#bindings = new Map(work.bindings.map((binding) => [binding.shape.id, binding]))
    this.#next = work.state.state
    this.#reached = parseLsn(this.#next.lsn)
    this.#saidAt = work.settings.runtime.clock.now()
  }

  /** Whether nothing of a transaction is on its way: something else may be done. */
  get isBetween(): boolean {
    return this.#transaction === undefined
  }

  /** Where the log is. */
  get lsn(): bigint {
    return parseLsn(this.#work.state.state.lsn)
  }

  /**
   * Takes what has come, and what comes next if nothing has.
   *
   * @param hurries - whether somebody waits for a place to be reached
   * @returns whether a table has changed its columns
   */
  async step(hurries: boolean): Promise<boolean> {
    const { intake, settings } = this.#work
    const shapes = this.#next.tables
    for (const message of await this.#stream.next()) await this.#take(message)
    if (intake.complete > 0) await this.#flush()
    else if (this.isBetween && this.#reached > parseLsn(this.#next.lsn)) {
      const now = settings.runtime.clock.now()
      if (hurries || now - this.#saidAt >= IDLE_MS) {
        this.#next = { ...this.#next, lsn: lsnText(this.#reached), within: undefined }
        await this.#flush()
      }
    }
    return shapes !== this.#next.tables
  }

  async #take(message: SourceMessage): Promise<void> {
    switch (message.kind) {
      case 'begin':
        this.#transaction = new Incoming(message, this.#next)
        return
      case 'row':
        if (this.#transaction!.count()) await this.#row(message)
        return
      case 'truncate':
        if (this.#transaction!.count()) await this.#truncate(message.tables)
        return
      case 'shape':
        this.#shape(message.table)
        return
      case 'commit':
        await this.#commit(message.end)
        return
      case 'progress':
        if (this.isBetween && message.end > this.#reached) this.#reached = message.end
    }
  }

  async #commit(end: bigint): Promise<void> {
    const { intake } = this.#work
    const isDone = this.#transaction?.isDone ?? false
    this.#transaction = undefined
    if (end > this.#reached) this.#reached = end
    if (isDone) return
    const changes = intake.complete + intake.open
    intake.finish()
    // A transaction without changes of ours moves the place, which is said with the next, or after a while.
    if (changes > 0 || this.#next.within) this.#next = { ...this.#next, lsn: lsnText(end), within: undefined }
    if (intake.isFull) await this.#flush()
  }

  async #row(message: RowMessage): Promise<void> {
    const binding = this.#bindings.get(message.table.id)
    if (!binding) return
    const { operation, table, row, before } = message
    if (operation === 'update' && before) {
      const old = keyOrProblem(binding, table, before)
      const present = keyOrProblem(binding, table, row)
      if (!old.problem && !present.problem && !isSame(old.key, present.key)) {
        await this.#move(binding, message, old.key)
        return
      }
    }
    await this.#add(binding, message, operation, row)
  }

  /** A row whose key has changed: it leaves one stream and appears in another. */
  async #move(binding: Binding, message: RowMessage, oldKey: Row): Promise<void> {
    const { table, unchanged, before = oldKey } = message
    let { row } = message
    if (unchanged.length > 0 && !binding.map) {
      // What was not sent is known in the old stream only.
      await this.#flushPart(this.#transaction!.changes - 1)
      const known = await foldStream(this.#work.settings.log, streamOf(binding.topic, oldKey))
      const values = unchanged.filter((name) => known && name in known).map((name) => [name, known![name]])
      row = { ...row, ...(Object.fromEntries(values) as Row) }
    }
    const missing = unchanged.filter((name) => !(name in row))
    await this.#add(
      binding,
      { ...message, table, row: before, before: undefined, unchanged: [] },
      'delete',
      before,
    )
    await this.#add(binding, { ...message, row, unchanged: missing }, 'insert', row)
  }

  async #add(
    binding: Binding,
    message: RowMessage,
    operation: RowMessage['operation'],
    row: Row,
  ): Promise<void> {
    const { intake } = this.#work
    const { table, before, unchanged, bytes } = message
    const { key, problem } = keyOrProblem(binding, table, row)
    const change: RowChange = {
      ...this.#place(),
      operation,
      table: table.name,
      key,
      row,
      ...(before && operation === 'update' && { before }),
      unchanged,
    }
    intake.add(binding, change, bytes, problem)
    if (!intake.isFull) return
    if (intake.complete > 0) await this.#flush()
    // A transaction that is larger than a commit comes in parts. What one change becomes stays together.
    else if (operation !== 'delete' || message.operation === 'delete')
      await this.#flushPart(this.#transaction!.changes)
  }

  async #truncate(tables: readonly TableShape[]): Promise<void> {
    const { settings, intake, parking } = this.#work
    const done = this.#transaction!.changes - 1
    const said: StreamAppend[] = []
    await this.#flushPart(done)
    const topics = tables.flatMap(({ id }) => this.#bindings.get(id)?.topic ?? [])
    said.push(...(await supersede(this.#work, topics, 'truncate')))
    for (const { id, name } of tables) {
      const binding = this.#bindings.get(id)
      if (!binding) continue
      const at = { ...this.#place(), table: name }
      await deleteMissing(
        this.#work,
        binding,
        at,
        () => false,
        () => this.#flushPart(done),
      )
      const { committed: time, ...place } = at
      const change = { source: settings.name, operation: 'truncate', ...place }
      said.push({
        stream: binding.topic,
        events: [{ type: binding.types.truncate, metadata: { change }, time }],
      })
    }
    this.#next = { ...this.#next, within: this.#transaction!.within(done + 1) }
    await intake.flush(this.#next, said)
    await parking.tidy()
  }

  #shape(table: TableShape): void {
    const binding = this.#bindings.get(table.id)
    if (!binding) return
    const known = this.#next.tables[binding.name]
    const shape = digestOf(table)
    if (known?.shape === shape) return
    const { instruments } = this.#work
    const columns = table.columns.map(({ name, type }) => `${name} ${type}`).join(', ')
    instruments.log('warn', `table ${binding.name} has changed: ${table.name} (${columns})`)
    this.#next = { ...this.#next, tables: { ...this.#next.tables, [binding.name]: { id: table.id, shape } } }
  }

  #place(): Pick<RowChange, 'lsn' | 'xid' | 'committed' | 'generation'> {
    const { lsn, xid, committed } = this.#transaction!
    return { lsn: lsnText(lsn), xid, committed, generation: this.#next.generation }
  }

  /** Appends everything that has come, of a transaction that is not complete. */
  async #flushPart(changes: number): Promise<void> {
    const { intake } = this.#work
    if (intake.complete > 0) await this.#flush()
    intake.finish()
    if (changes > 0) this.#next = { ...this.#next, within: this.#transaction!.within(changes) }
    await this.#flush()
  }

  async #flush(): Promise<void> {
    await this.#work.intake.flush(this.#next)
    this.#stream.acknowledge(parseLsn(this.#next.lsn))
    this.#saidAt = this.#work.settings.runtime.clock.now()
  }
}

function isSame(a: Row, b: Row): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
