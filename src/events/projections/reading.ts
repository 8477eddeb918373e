import { bucketOf } from '../../core/hashing/buckets.js'
import { duration, formatDuration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import { eventError } from '../errors.js'
import type { EventLog, Position, Selector } from '../log.js'
import { START } from '../position.js'
import { isSystemStream } from '../transform.js'
import { Ahead } from './ahead.js'
import { describeVersion, fromRow, type Checkpoint } from './checkpoint.js'
import { tablesOf } from './handling.js'
import { isRun } from './ownership.js'
import { PartGoal, partName, partsOf, wholeName, type KeyOf } from './parts.js'
import type { AnyProjection } from './projection.js'
import type { Maybe, ReadModelStore, StoreView } from './store.js'
import { mustBeOf } from './verification.js'
import type { Waiting } from './waiting.js'

/** What a query may rely on. */
export interface QueryOptions {
  /**
   * `eventual`: whatever is there now. `strong`: everything that was in the log when the query began. Default `eventual`,
   * and with `after` what that says.
   */
  consistency?: 'eventual' | 'strong'
  /** Read your writes: everything up to this position, of an append or of a command. */
  after?: Position
  /**
   * Of a projection with buckets: what is asked for is of this key alone, so only its bucket is waited for. Default: all are.
   * For one without it means nothing.
   */
  key?: string
  /** The same for a bucket by its number. */
  bucket?: number
  /** How long to wait for it. Default `'2s'`. */
  timeout?: Duration
  /** Whether a read model will do that lacks events which were parked. Default false, as they may be the ones. */
  allowParked?: boolean
  /** Ends the wait. */
  signal?: AbortSignal
}

const OPTIONS: OptionTable<QueryOptions> = {
  consistency: { kind: 'choice', values: ['eventual', 'strong'], doc: 'what a query may rely on' },
  after: { kind: 'string', doc: 'the position that the read model must have reached' },
  key: { kind: 'string', doc: 'the key whose bucket is waited for' },
  bucket: { kind: 'number', min: 0, integer: true, doc: 'the bucket that is waited for' },
  timeout: { kind: 'duration', doc: 'how long to wait for it' },
  allowParked: { kind: 'boolean', doc: 'whether parked events may be missing' },
  signal: { kind: 'code', type: 'object', doc: 'ends the wait' },
}

/** What a query works with: one moment of the store, to read only. */
export interface QueryContext<Db> {
  readonly db: Db
  /** The name that a table of the active version has in the store. */
  readonly table: (name: string) => string
  /** Everything up to here is in what the query sees: of all buckets, or of that of the key that was asked for. */
  readonly position: Position
  readonly version: number
}

const TIMEOUT = '2s'
/** How often, in ms, it is looked whether a projection of another process has moved. */
const LOOK_FIRST_MS = 2
const LOOK_LAST_MS = 100

/** What is known of what a reader wants. */
interface Goal {
  readonly after: Position
  /** The last selected event up to there: known only when it had to be looked for. */
  needed: Position | undefined
  /** A version in which inline appends have put everything up to there, from this position on. */
  ahead?: { readonly version: number; readonly position: Position }
  /** Of versions with buckets. */
  readonly parts: Map<number, PartGoal>
}

/** What is asked for: a projection by its name, and what gives the key of its events. */
export interface Asked {
  readonly name: string
  readonly key: KeyOf
}

/** Reads read models, as new as each reader needs them. */
export class Reading<Db> {
  readonly #store: ReadModelStore<Db>
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #waiting: Waiting
  readonly #isRun: (name: string) => boolean
  readonly #looks = new Map<string, Promise<Checkpoint | undefined>>()

  /** @param isRun - whether this process runs a projection */
  constructor(
    store: ReadModelStore<Db>,
    log: EventLog,
    runtime: Runtime,
    waiting: Waiting,
    isRun: (name: string) => boolean,
  ) {
    this.#isRun = isRun
    this.#store = store
    this.#log = log
    this.#runtime = runtime
    this.#waiting = waiting
  }

  /** Runs a query on a moment that is new enough: the checkpoint is read in the same moment. */
  async query<Result>(
    asked: Asked,
    options: QueryOptions,
    work: (context: QueryContext<Db>) => Maybe<Result>,
  ): Promise<Result> {
    checkOptions('query', OPTIONS, options)
    const { name } = asked
    const { consistency, after, allowParked = false, signal } = options
    if (consistency === 'eventual' && after !== undefined)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        'query: an eventual read waits for no position; leave out after',
      )
    const { clock } = this.#runtime
    const timeout = duration(options.timeout ?? TIMEOUT, 'timeout')
    const until = clock.now() + timeout
    const goal = await this.#goalOf(consistency, after)
    for (let pause = LOOK_FIRST_MS; ; pause = Math.min(pause * 2, LOOK_LAST_MS)) {
      signal?.throwIfAborted()
      const moved = this.#waiting.begin(name)
      try {
        if (goal?.needed !== undefined && clock.now() < until) {
          const row = await this.#look(name)
          if (row && row.state !== 'failed' && !row.details.ahead && !isReached(row, goal)) {
            await moved.within(Math.min(pause, until - clock.now()), signal)
            continue
          }
        }
        const seen = await this.#store.read(async (view) => {
          const row = await activeRow(view, name)
          if (!row) return {}
          if (row.details.buckets !== undefined) {
            const parts = new PartsSight(row, await partsOf(view, row), options)
            if (goal && !parts.areReached(goal.parts.get(row.version))) return { row, parts }
            if (goal && !allowParked) await parts.mustBeComplete(view, goal)
            const result = await work({ ...contextOf(view, row), position: parts.position(goal?.after) })
            return { row: parts.newest ?? row, result }
          }
          if (goal && !isReached(row, goal)) return { row }
          if (goal && !allowParked) await mustBeComplete(view, row, goal)
          return { row, result: await work(contextOf(view, row)) }
        })
        const left = until - clock.now()
        if (!seen.row) {
          // Whoever runs it makes its tables first.
          if (left <= 0 || !(goal || this.#isRun(name))) throw unknown(name)
          await moved.within(Math.min(pause, left), signal)
          continue
        }
        if ('result' in seen) {
          if (goal) await mustBeOf(seen.row, this.#log)
          return seen.result
        }
        if (seen.parts) {
          const open = await this.#openOf(seen.row, seen.parts, asked, goal!)
          if (!open) continue
          if (open.part?.state === 'failed') throw stopped(open.part)
          if (left <= 0) throw tooOld(open.part ?? { ...seen.row, name: open.name }, goal!, timeout)
          await moved.within(Math.min(pause, left), signal)
          continue
        }
        if (goal!.needed === undefined) {
          goal!.needed = await this.#neededFor(
            seen.row.position,
            JSON.parse(seen.row.details.select) as Selector,
            goal!.after,
          )
          continue
        }
        if (await this.#hasAhead(seen.row, goal!)) {
          const { version, position } = seen.row
          goal!.ahead = { version, position }
          continue
        }
        if (seen.row.state === 'failed') throw stopped(seen.row)
        if (left <= 0) {
          // It may be for more than time.
          await mustBeOf(seen.row, this.#log)
          throw tooOld(seen.row, goal!, timeout)
        }
        await moved.within(Math.min(pause, left), signal)
      } finally {
        moved.end()
      }
    }
  }

  /** The row that is active now. Those who wait look together, and take a moment of their own when it is there. */
  #look(name: string): Promise<Checkpoint | undefined> {
    let look = this.#looks.get(name)
    if (!look) {
      look = this.#store.read((view) => activeRow(view, name)).finally(() => this.#looks.delete(name))
      this.#looks.set(name, look)
    }
    return look
  }

  /** A bucket that has not come to the goal, one that has failed before others; undefined if all have. */
  async #openOf(
    row: Checkpoint,
    parts: PartsSight,
    { key }: Asked,
    goal: Goal,
  ): Promise<OpenPart | undefined> {
    const { version, details } = row
    let partGoal = goal.parts.get(version)
    if (!partGoal) {
      if (details.keyed && !key)
        throw new BanyanError(
          'BANYAN_INVALID_OPTIONS',
          `query: which bucket an event of ${row.name} is in, its key function says: give the projection, and not its name`,
        )
      const select = JSON.parse(details.select) as Selector
      // A position that is none of this log is refused here.
      await this.#lastSelected(select, goal.after)
      const keyOf = details.keyed ? key : undefined
      partGoal = new PartGoal(this.#log, select, details.buckets!, keyOf, goal.after)
      goal.parts.set(version, partGoal)
    }
    await partGoal.look(parts.positions)
    return parts.firstOpen(partGoal)
  }

  /** Waits until a version, or the bucket of one, has everything that is in the log now, however long that takes. */
  async reachHead(
    { name, version, select, part, key }: AnyProjection<Db>,
    signal: AbortSignal,
  ): Promise<void> {
    const head = await this.#log.head()
    let needed: Position | undefined
    const goal = part && new PartGoal(this.#log, select, part.buckets, key, head)
    for (let pause = LOOK_FIRST_MS; !signal.aborted; pause = Math.min(pause * 2, LOOK_LAST_MS)) {
      const moved = this.#waiting.begin(wholeName(name))
      try {
        const rows = await this.#store.read((view) => view.rows(name))
        const row = rows.find((known) => known.version === version)
        if (row && goal) {
          await goal.look(new Map([[part.bucket, row.position]]))
          if (row.state === 'running' && goal.isReached(part.bucket, row.position)) return
        } else if (row) needed ??= await this.#neededFor(fromRow(row).position, select, head)
        if (!goal && row?.state === 'running' && row.position >= needed!) return
        await moved.within(pause, signal)
      } finally {
        moved.end()
      }
    }
  }

  async #goalOf(consistency: string | undefined, after: Position | undefined): Promise<Goal | undefined> {
    if (consistency === 'strong') {
      const head = await this.#log.head()
      return {
        after: after !== undefined && after > head ? after : head,
        needed: undefined,
        parts: new Map(),
      }
    }
    if (after === '')
      throw eventError(
        'BANYAN_INVALID_POSITION',
        'query: after is an empty text: the token was lost on its way. Leave it out to read what is there',
      )
    if (after === undefined || after === START) return undefined
    if (this.#log.capabilities.order !== 'log')
      throw eventError(
        'BANYAN_UNSUPPORTED',
        `the ${this.#log.capabilities.driver} driver does not deliver all events in the order of their positions: a position says nothing of what is in a read model`,
      )
    return { after, needed: undefined, parts: new Map() }
  }

  /** Whether inline appends have brought everything that is missing up to the goal. */
  async #hasAhead(row: Checkpoint, { after }: Goal): Promise<boolean> {
    const ahead = new Ahead(row)
    if (ahead.size === 0) return false
    const selector = JSON.parse(row.details.select) as Selector
    for await (const event of this.#log.read(selector, { from: row.position, to: after, faults: 'give' }))
      if (!isSystemStream(event.stream) && !ahead.has(event)) return false
    return true
  }

  /**
   * Which position is enough. Checkpoints move to events that are selected, at once; past others now and then. So the last
   * that is selected will do, unless there was another that is gone, which was never in the read model.
   */
  async #neededFor(position: Position, selector: Selector, after: Position): Promise<Position> {
    const last = await this.#lastSelected(selector, after)
    if (last > position || position >= after) return last
    for await (const { truncated } of this.#log.follow(selector, {
      from: position,
      batch: 1,
      faults: 'give',
    }))
      return truncated ? after : last
    return last
  }

  async #lastSelected(selector: Selector, after: Position): Promise<Position> {
    if (after === START) return START
    let last = START
    // A position that no log of this driver can have is refused here.
    for await (const { position } of this.#log.read(selector, {
      to: after,
      backwards: true,
      limit: 1,
      faults: 'give',
    }))
      last = position
    if (last === after) return last
    const head = await this.#log.head()
    if (after > head)
      throw eventError(
        'BANYAN_POSITION_AHEAD',
        `position ${after} is behind the end of this log, which is at ${head}: it is of another log, or this one was restored from a backup`,
      )
    return last
  }
}

/** @throws `BANYAN_READ_MODEL_CORRUPT` */
async function activeRow(view: StoreView<unknown>, name: string): Promise<Checkpoint | undefined> {
  const row = (await view.rows(name)).find(({ active }) => active)
  return row && fromRow(row)
}

function unknown(name: string): Error {
  return eventError(
    'BANYAN_PROJECTION_UNKNOWN',
    `there is no active version of ${name} in this store; it has one once a projection of that name was run`,
  )
}

function contextOf<Db>({ db }: StoreView<Db>, row: Checkpoint): QueryContext<Db> {
  return { db, table: tablesOf(row), position: row.position, version: row.version }
}

function isReached({ version, position }: Checkpoint, { after, needed, ahead }: Goal): boolean {
  return position >= (needed ?? after) || (version === ahead?.version && position >= ahead.position)
}

/** A bucket that others wait for. */
interface OpenPart {
  readonly name: string
  /** Undefined if it was never run. */
  readonly part: Checkpoint | undefined
}

/** The buckets that a query is about, as they are at one moment. */
class PartsSight {
  readonly #row: Checkpoint
  readonly #parts: ReadonlyMap<number, Checkpoint | undefined>

  /** @param options - only one bucket, or all */
  constructor(
    row: Checkpoint,
    all: readonly (Checkpoint | undefined)[],
    { key, bucket }: Pick<QueryOptions, 'key' | 'bucket'>,
  ) {
    this.#row = row
    const only = key === undefined ? bucket : bucketOf(key, all.length)
    if (only !== undefined && only >= all.length)
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `query: ${describeVersion(row)} has the buckets 0 to ${all.length - 1}, and not ${only}`,
      )
    this.#parts = new Map([...all.entries()].filter(([bucket]) => only === undefined || bucket === only))
  }

  get positions(): ReadonlyMap<number, Position> {
    return new Map([...this.#parts].map(([bucket, part]) => [bucket, part?.position ?? START]))
  }

  /** The one that is furthest. */
  get newest(): Checkpoint | undefined {
    let newest: Checkpoint | undefined
    for (const part of this.#parts.values())
      if (part && (!newest || part.position > newest.position)) newest = part
    return newest
  }

  /** @param reached - what all of them have come to */
  position(reached: Position = START): Position {
    let least = [...this.positions.values()][0]!
    for (const position of this.positions.values()) if (position < least) least = position
    return least > reached ? least : reached
  }

  areReached(goal: PartGoal | undefined): boolean {
    return goal !== undefined && this.firstOpen(goal) === undefined
  }

  firstOpen(goal: PartGoal): OpenPart | undefined {
    let first: OpenPart | undefined
    for (const [bucket, part] of this.#parts) {
      if (goal.isReached(bucket, part?.position ?? START)) continue
      if (!first || part?.state === 'failed') first = { name: partName(this.#row.name, bucket), part }
    }
    return first
  }

  async mustBeComplete(view: StoreView<unknown>, goal: Goal): Promise<void> {
    for (const part of this.#parts.values()) if (part) await mustBeComplete(view, part, goal)
  }
}

async function mustBeComplete(view: StoreView<unknown>, row: Checkpoint, { after }: Goal): Promise<void> {
  const [first] = await view.parked(row.name, row.version, { limit: 1 })
  if (!first || first.position > after) return
  throw eventError(
    'BANYAN_READ_INCOMPLETE',
    `${describeVersion(row)} lacks events up to position ${after} that were parked, the first at ${first.position}: ${first.reason}. ` +
      'Retry what is parked, or say allowParked where that does not matter',
  )
}

function tooOld(row: Checkpoint, { after }: Goal, timeout: number): Error {
  return eventError(
    'BANYAN_READ_TOO_OLD',
    `${describeVersion(row)} is at position ${row.position} and has not come to ${after} within ${formatDuration(timeout)}. ` +
      (isRun(row) ? 'Wait longer, or take what is there' : 'Nobody runs it: start it'),
  )
}

function stopped(row: Checkpoint): Error {
  return eventError(
    'BANYAN_READ_TOO_OLD',
    `${describeVersion(row)} has stopped at position ${row.position} and does not go on by itself: ${row.details.error ?? 'it has failed'}`,
  )
}
