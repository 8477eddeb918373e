import { statSync } from 'node:fs'
import { resolve } from 'node:path'
import { sleep, type Clock } from '../../core/clock.js'
import { duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { DriverContext, EncodedCommit, LogDriver, Outcome, Page, Query } from '../../events/driver.js'
import { eventError } from '../../events/errors.js'
import type {
  Capabilities,
  LogStats,
  Position,
  StreamInfo,
  Truncation,
  TruncateResult,
} from '../../events/log.js'
import { formatPosition, parsePosition } from '../../events/position.js'
import type {
  KnownOutcome,
  Replica,
  ReplicaState,
  ReplicatedDriver,
  Role,
  RoleChange,
  Shipment,
  StreamTruncation,
} from '../../events/replica.js'
import { connectReader, fileOf, loadSqlite, type Sqlite } from './connect.js'
import { faultOf, isBusy } from './faults.js'
import type { Problem } from './maintenance/problems.js'
import { run } from './maintenance/run.js'
import type { NameQuery } from './names.js'
import { readPage } from './reader/page.js'
import { FarReader } from './reader/far.js'
import { Reader } from './reader/reader.js'
import { readOutcomes, readReplicaState, readTruncations } from './reader/replica.js'
import { revisionOf } from './reader/revisions.js'
import { positionAt, readStats, readStreams } from './reader/state.js'
import type { SqliteLogSpec } from './spec.js'
import { Wakeups } from './wakeups.js'
import { Thread, ThreadEnded } from './thread.js'
import { packGroup, unpackOutcomes } from './wire.js'
import type { WriterData } from './writer/thread.js'
import type { Writer } from './writer/writer.js'

const CAPABILITIES: Capabilities = {
  driver: 'sqlite',
  order: 'log',
  atomic: 'log',
  dedupe: 'for ever',
  durable: 'fsync',
  shared: 'machine',
  transactions: false,
  backup: true,
}

const LOCK_WAIT = '10s'
const OPTIONS: OptionTable<SqliteLogSpec> = {
  driver: { kind: 'choice', values: ['sqlite'], doc: 'this driver' },
  path: { kind: 'string', doc: 'a directory, or a file whose name ends in .db' },
  lockWait: { kind: 'duration', doc: 'how long to wait for another process that keeps the file locked' },
}
/** Between tries of a read that found the file locked, in ms. */
const BUSY_PAUSE_MS = 5

/**
 * Opens an event log in a SQLite file.
 *
 * @throws `BANYAN_LOG_CORRUPT` if the file is damaged or no log, `BANYAN_LOG_FORMAT`, `BANYAN_LOG_LOCKED`,
 *   `BANYAN_LOG_UNAVAILABLE`
 */
export async function openSqliteLog(spec: SqliteLogSpec, { clock }: DriverContext): Promise<LogDriver> {
  checkOptions('the sqlite event log', OPTIONS, spec)
  if (typeof spec.path !== 'string' || spec.path === '')
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'the sqlite event log: path is missing, as in ./data')
  const lockWait = duration(spec.lockWait ?? LOCK_WAIT, 'lockWait')
  const file = fileOf(spec.path)
  const sqlite = await loadSqlite()
  const thread = await startWriter({ file, lockWait })
  try {
    return new SqliteLog(sqlite, file, clock, lockWait, thread)
  } catch (error) {
    await thread.close()
    throw faultOf(error, file)
  }
}

/**
 * One file, two ways into it: a thread that writes, one transaction for each group, and a connection on the event loop
 * that reads, one page at a time.
 */
class SqliteLog implements ReplicatedDriver, Replica {
  readonly capabilities = CAPABILITIES
  /** While the disk is waited for, the next group is put together. */
  readonly parallel = 2
  readonly consecutive = true
  readonly replica = this
  readonly #file: string
  readonly #clock: Clock
  readonly #lockWait: number
  readonly #reader: Reader
  readonly #far: FarReader
  readonly #wakeups: Wakeups
  #thread: Thread<Writer>
  #restart: Promise<Thread<Writer>> | undefined
  readonly #closing = new AbortController()

  constructor(sqlite: Sqlite, file: string, clock: Clock, lockWait: number, thread: Thread<Writer>) {
    this.#file = file
    this.#clock = clock
    this.#lockWait = lockWait
    this.#thread = thread
    this.#reader = new Reader(connectReader(sqlite, file), file)
    this.#far = new FarReader(file)
    this.#wakeups = new Wakeups(file, clock, () => this.#reader.log().head)
  }

  async append(group: readonly EncodedCommit[]): Promise<Outcome[]> {
    const packed = packGroup(group)
    const outcomes = unpackOutcomes(await this.#write((thread) => thread.call('append', packed)), group)
    let head = 0
    for (const outcome of outcomes)
      if (outcome.kind === 'appended') head = Math.max(head, parsePosition(outcome.position!))
    this.#wakeups.reached(head)
    return outcomes
  }

  async read(query: Query): Promise<Page> {
    let part = query
    let truncated = false
    for (;;) {
      const page = (await this.#readFar(part)) ?? (await this.#read((reader) => readPage(reader, part)))
      truncated ||= page.truncated
      if (page.events.length > 0 || page.end) return { ...page, truncated }
      part = { ...part, ...(query.backwards ? { before: page.position } : { after: page.position }) }
      await new Promise((resolve) => setImmediate(resolve))
    }
  }

  async head(): Promise<Position> {
    return formatPosition(await this.#read((reader) => reader.log().head))
  }

  positionAt(time: number): Promise<Position> {
    return this.#read((reader) => formatPosition(positionAt(reader, time)))
  }

  changed(position: Position, signal: AbortSignal): Promise<void> {
    return this.#closed ? Promise.resolve() : this.#wakeups.wait(parsePosition(position), signal)
  }

  revision(stream: string): Promise<number | 'none'> {
    return this.#read((reader) => revisionOf(reader, stream))
  }

  streams(query: NameQuery): Promise<StreamInfo[]> {
    return this.#read((reader) => readStreams(reader, query))
  }

  truncate(what: Truncation): Promise<TruncateResult> {
    return this.#write((thread) => thread.call('truncate', what))
  }

  hold(name: string, position: Position): Promise<void> {
    return this.#write((thread) => thread.call('hold', name, position))
  }

  release(name: string): Promise<void> {
    return this.#write((thread) => thread.call('release', name))
  }

  async stats(): Promise<LogStats> {
    const stats = await this.#read((reader) => readStats(reader))
    return { ...stats, bytes: sizeOf(this.#file) + sizeOf(`${this.#file}-wal`) }
  }

  verify(signal: AbortSignal): AsyncGenerator<Problem> {
    return run({ kind: 'verify', file: this.#file }, AbortSignal.any([signal, this.#closing.signal]))
  }

  async backup(to: string): Promise<void> {
    const task = { kind: 'backup', file: this.#file, to: resolve(to) } as const
    for await (const { message } of run(task, this.#closing.signal)) throw new Error(message)
  }

  state(): Promise<ReplicaState> {
    return this.#read((reader) => readReplicaState(reader))
  }

  outcomes(ids: readonly string[]): Promise<KnownOutcome[]> {
    return this.#read((reader) => readOutcomes(reader, ids))
  }

  truncations(after: number, limit: number): Promise<StreamTruncation[]> {
    return this.#read((reader) => readTruncations(reader, after, limit))
  }

  async apply(shipment: Shipment): Promise<boolean> {
    const { applied, head } = await this.#write((thread) => thread.call('apply', shipment))
    this.#wakeups.reached(head)
    return applied
  }

  async become(change: RoleChange, from: { role: Role; epoch: number }): Promise<ReplicaState> {
    await this.#write((thread) => thread.call('become', change, from))
    return this.state()
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closing.abort(eventError('BANYAN_LOG_CLOSED', 'the log was closed'))
    this.#wakeups.close()
    this.#reader.db.close()
    await this.#far.close()
    await ((await this.#restart) ?? this.#thread).close()
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted
  }

  /** At once, as far as it is up to this thread: whoever asks may be busy for a while then. */
  #readFar(query: Query): Promise<Page | undefined> | undefined {
    if (this.#closed || !this.#far.takes(query)) return undefined
    try {
      return this.#far.read(query, this.#reader.log().head)
    } catch {
      // Whatever it is, it is met again.
      return undefined
    }
  }

  /** Reads at once, unless another process keeps the file locked for a moment, as one that repairs it after a crash does. */
  async #read<T>(read: (reader: Reader) => T): Promise<T> {
    for (const until = this.#clock.now() + this.#lockWait; ;) {
      if (this.#closed) throw eventError('BANYAN_LOG_CLOSED', 'the log is closed')
      try {
        return read(this.#reader)
      } catch (error) {
        if (!isBusy(error) || this.#clock.now() >= until) throw faultOf(error, this.#file)
      }
      await sleep(this.#clock, BUSY_PAUSE_MS)
    }
  }

  /**
   * Asks the thread. If it dies before it answers, a new one is asked once more: all that it is asked is harmless when
   * done twice, as a commit's id tells whether it is in the log.
   */
  async #write<T>(ask: (thread: Thread<Writer>) => Promise<T>): Promise<T> {
    try {
      return await ask(this.#thread)
    } catch (error) {
      if (!(error instanceof ThreadEnded)) throw error
      if (this.#closed)
        throw eventError('BANYAN_LOG_CLOSED', 'the log was closed before this was done', error)
    }
    try {
      return await ask(await this.#restarted())
    } catch (error) {
      throw error instanceof ThreadEnded ? unknownOutcome(error) : error
    }
  }

  #restarted(): Promise<Thread<Writer>> {
    if (!this.#thread.ended) return Promise.resolve(this.#thread)
    this.#restart ??= startWriter({ file: this.#file, lockWait: this.#lockWait })
      .then((thread) => (this.#thread = thread))
      .finally(() => (this.#restart = undefined))
    return this.#restart
  }
}

function startWriter(data: WriterData): Promise<Thread<Writer>> {
  return Thread.start<Writer>('writer/thread.js', data)
}

/** What became of work that the thread did not finish, and that cannot be found out. */
function unknownOutcome(cause: unknown): Error {
  return eventError(
    'BANYAN_OUTCOME_UNKNOWN',
    `the thread that writes the log ended twice while it appended: ${String(cause)}. ` +
      'The commit may be in the log; append it again with the same id to know',
    cause,
  )
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
