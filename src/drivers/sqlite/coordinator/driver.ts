import type { Database } from 'better-sqlite3'
import { sleep, type Clock } from '../../../core/clock.js'
import { BanyanError } from '../../../core/errors.js'
import { andThen, type Maybe } from '../../../core/maybe.js'
import { checkOptions } from '../../../core/options.js'
import type {
  Changes,
  CoordinatorCapabilities,
  DeleteResult,
  Entry,
  Expected,
  Listing,
  PutAndListResult,
  PutResult,
} from '../../../coordination/coordinator.js'
import type { CoordinatorContext, CoordinatorDriver, Grant } from '../../../coordination/driver.js'
import { coordinationError, isPassing } from '../../../coordination/errors.js'
import { Feed, type History, type HistoryPage } from '../../../coordination/feed.js'
import { loadSqlite } from '../connect.js'
import { Wakeups } from '../wakeups.js'
import { Checkpoints } from './checkpoints.js'
import { connect, type Connection } from './connect.js'
import { Durability } from './durability.js'
import { faultOf, isBusy, unknownOutcome } from './faults.js'
import { HeadFile } from './head-file.js'
import { LeaseEnds } from './lease-ends.js'
import { thisMachine, type Machine } from './machine.js'
import { Patience } from './patience.js'
import { fileOf, identityOf, Place } from './place.js'
import { beginningWith, only, type Range } from './range.js'
import { SQLITE_COORDINATOR_OPTIONS, SQLITE_LEASES, type SqliteCoordinatorSpec } from './spec.js'
import { Store } from './store.js'

const CAPABILITIES: CoordinatorCapabilities = {
  driver: 'sqlite',
  shared: 'machine',
  durable: 'power loss',
  ...SQLITE_LEASES,
}

/** How long other processes may keep the file locked, in ms. */
const PATIENCE_MS = 5000
/** How many leases are renewed in one transaction. */
const RENEWED_AT_ONCE = 1000
/** Between tries to open it, in ms. */
const OPEN_RETRY_MS = 3

/** What the driver takes from the machine; tests put others in its place. */
export interface Surroundings {
  readonly machine: Machine
  readonly identityOf: (file: string) => string
}

/**
 * Opens keys in a SQLite file.
 *
 * @throws `BANYAN_COORDINATOR_FORMAT`, `BANYAN_COORDINATOR_CORRUPT`, `BANYAN_COORDINATOR_UNAVAILABLE`
 */
export async function openSqliteCoordinator(
  spec: SqliteCoordinatorSpec,
  { clock }: CoordinatorContext,
  { machine, identityOf: identity }: Surroundings = { machine: thisMachine(), identityOf },
): Promise<CoordinatorDriver> {
  checkOptions('the sqlite coordinator', SQLITE_COORDINATOR_OPTIONS, spec)
  if (typeof spec.path !== 'string' || spec.path === '')
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'the sqlite coordinator: path is missing, as in ./data')
  const file = fileOf(spec.path)
  const sqlite = await loadSqlite().catch((error: unknown) => {
    if (!(error instanceof BanyanError)) throw error
    throw coordinationError('BANYAN_COORDINATOR_UNAVAILABLE', error.message, error)
  })
  for (const until = clock.now() + PATIENCE_MS; ;) {
    try {
      return await opened(connect(sqlite, file, { boot: machine.boot, identityOf: identity }))
    } catch (error) {
      if (!isBusy(error) || clock.now() >= until) throw faultOf(error, file)
    }
    await sleep(clock, OPEN_RETRY_MS)
  }

  async function opened(connection: Connection): Promise<CoordinatorDriver> {
    let driver: SqliteCoordinator | undefined
    try {
      driver = new SqliteCoordinator(connection, file, clock, machine)
      await driver.open()
      return driver
    } catch (error) {
      await driver?.close()
      connection.db.close()
      throw error
    }
  }
}

class SqliteCoordinator implements CoordinatorDriver, History {
  readonly capabilities = CAPABILITIES
  readonly #file: string
  readonly #db: Database
  readonly #store: Store
  readonly #place: Place
  readonly #patience: Patience
  readonly #heads: HeadFile
  readonly #durability: Durability
  readonly #checkpoints: Checkpoints
  readonly #wakeups: Wakeups
  readonly #feed: Feed
  readonly #leaseEnds: LeaseEnds
  #closed = false
  /** Whether the file was not in its place, the last time that somebody looked. */
  #gone = false

  constructor({ db, epoch }: Connection, file: string, clock: Clock, machine: Machine) {
    this.#file = file
    this.#feed = new Feed(this, clock)
    this.#db = db
    this.#store = new Store(db, file, epoch, machine)
    this.#store.head()
    this.#place = new Place(file)
    this.#patience = new Patience(clock)
    this.#leaseEnds = new LeaseEnds(clock, machine, () => this.#expire())
    this.#checkpoints = new Checkpoints(db, file)
    this.#heads = new HeadFile(file, clock, () => ({
      revision: this.#store.revision,
      durable: this.#durability.horizon,
    }))
    this.#durability = new Durability(file, this.#heads.read().durable, {
      written: () => this.#store.revision,
      checkpoint: () => this.#checkpointHere(),
      reached: () => this.#heads.tell(),
    })
    this.#wakeups = new Wakeups(file, clock, () => {
      this.#checkPlace()
      return this.#store.head()
    })
  }

  /** What was done before it was opened would outlive a loss of power: nobody has to look at that again. */
  async open(): Promise<void> {
    this.#store.recount()
    await this.#durability.until(this.#store.revision)
  }

  get(key: string): Maybe<Entry | undefined> {
    return this.#do(() => this.#store.get(key), only(key))
  }

  list(prefix: string): Maybe<Listing> {
    const range = beginningWith(prefix)
    return this.#do(() => this.#store.list(range), range)
  }

  put(key: string, value: string, expected: Expected, lease: string | undefined): Maybe<PutResult> {
    return this.#do(() => this.#store.put(key, value, expected, lease), only(key))
  }

  putAndList(
    key: string,
    value: string,
    expected: Expected,
    lease: string | undefined,
    prefix: string,
  ): Maybe<PutAndListResult> {
    const range = beginningWith(prefix)
    return this.#do(() => this.#store.putAndList(key, value, expected, lease, range), range)
  }

  delete(key: string, expected: Expected): Maybe<DeleteResult> {
    return this.#do(() => this.#store.delete(key, expected), only(key))
  }

  head(): Maybe<number> {
    return this.#do(() => this.#store.head())
  }

  grant(ttl: number): Maybe<Grant> {
    return andThen(
      this.#do(() => this.#store.grant(ttl)),
      (grant) => {
        this.#leaseEnds.granted(grant.id, ttl)
        return grant
      },
    )
  }

  /** Thousands of leases take milliseconds: in parts, between which the event loop may turn. */
  async renew(leases: readonly string[], within: number): Promise<readonly boolean[]> {
    const answers: boolean[] = []
    for (let begin = 0; begin < leases.length; begin += RENEWED_AT_ONCE) {
      const part = leases.slice(begin, begin + RENEWED_AT_ONCE)
      answers.push(
        ...(await this.#do(() => this.#store.renew(part), undefined, Math.min(within, PATIENCE_MS))),
      )
    }
    for (const [index, lease] of leases.entries()) if (!answers[index]) this.#leaseEnds.ended(lease)
    return answers
  }

  revoke(lease: string): Maybe<void> {
    this.#leaseEnds.ended(lease)
    return this.#do(() => this.#store.revoke(lease))
  }

  watch(prefix: string, after: number, signal: AbortSignal): AsyncIterable<Changes> {
    return this.#feed.watch(prefix, after, signal)
  }

  page(prefix: string, after: number, limit: number): Maybe<HistoryPage> {
    return this.#do(() => this.#store.page(prefix, after, limit), beginningWith(prefix))
  }

  async changed(after: number, signal: AbortSignal): Promise<void> {
    if (this.#closed) return
    this.#leaseEnds.begin()
    try {
      await this.#wakeups.wait(after, signal)
    } finally {
      this.#leaseEnds.end()
    }
  }

  reached(revision: number): boolean {
    return revision <= this.#store.revision
  }

  passes(error: unknown): boolean {
    return isPassing(error) && !this.#gone && !this.#store.takenOver
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#leaseEnds.close()
    this.#patience.close(closed())
    this.#wakeups.close()
    await this.#durability.close()
    await this.#checkpoints.close()
    this.#heads.close()
    this.#db.close()
  }

  /**
   * Does something with the store, and answers when what the answer says would outlive a loss of power.
   *
   * @param range - the keys that it is about
   */
  #do<Result>(work: () => Result, range?: Range, patience = PATIENCE_MS): Maybe<Result> {
    let changes = 0
    const answer = (result: Result): Maybe<Result> => this.#outlasting(result, range, changes)
    try {
      const done = this.#patience.do(() => {
        if (this.#closed) throw closed()
        if (this.#gone) this.#checkPlace()
        this.#leaseEnds.look()
        const before = this.#store.changes
        const result = work()
        changes = this.#store.changes - before
        this.#checkPlaceAfter(changes > 0)
        if (changes > 0) this.#afterChanges()
        return result
      }, patience)
      return andThen(done instanceof Promise ? done.catch(this.#fail) : done, answer)
    } catch (error) {
      return this.#fail(error)
    }
  }

  readonly #fail = (error: unknown): never => {
    throw faultOf(error, this.#file)
  }

  #outlasting<Result>(result: Result, range: Range | undefined, changes: number): Maybe<Result> {
    const { lasting } = this.#store
    if (lasting <= this.#durability.horizon || !range) return result
    // Another process may have waited for it already.
    this.#durability.horizon = Math.max(this.#durability.horizon, this.#heads.read().durable)
    if (lasting <= this.#durability.horizon || !this.#store.touched(range, this.#durability.horizon))
      return result
    return this.#durability.until(lasting).then(
      () => result,
      (error: unknown) => {
        throw changes > 0 ? unknownOutcome(this.#file, error) : faultOf(error, this.#file)
      },
    )
  }

  #afterChanges(): void {
    const { revision, lasting } = this.#store
    this.#wakeups.reached(revision)
    // Others who look at what is not on disk yet would have to wait for it: they are told when it is.
    if (lasting < revision) this.#heads.tell()
    if (this.#store.compactable) this.#compact()
    this.#checkpoints.afterTransaction()
  }

  /** After something was done, as what comes before that proves nothing: whoever removes the file may be faster. */
  #checkPlaceAfter(changed: boolean): void {
    try {
      this.#checkPlace()
    } catch (error) {
      throw changed ? unknownOutcome(this.#file, error) : error
    }
  }

  #checkPlace(): void {
    this.#gone = !this.#place.holds
    if (this.#gone) throw gone(this.#file)
  }

  #compact(): void {
    try {
      this.#store.compact()
    } catch {
      // Somebody is in the way, or the disk is full: it is tried again after the next changes.
    }
  }

  #checkpointHere(): boolean {
    const [{ busy }] = this.#db.pragma('wal_checkpoint(TRUNCATE)') as [{ busy: number }]
    return busy === 0
  }

  #expire(): number | undefined {
    const before = this.#store.changes
    const next = this.#store.expire()
    if (this.#store.changes > before) this.#afterChanges()
    return next
  }
}

function gone(file: string): Error {
  return coordinationError(
    'BANYAN_COORDINATOR_UNAVAILABLE',
    `${file} was removed or replaced while it was in use: others would not see what is done here. Open it again`,
  )
}

function closed(): Error {
  return coordinationError('BANYAN_COORDINATOR_CLOSED', 'the coordinator is closed')
}
