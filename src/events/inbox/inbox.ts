import { isPromise, andThen, type Maybe } from '../../core/maybe.js'
import type { Timer } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import { duration, type Duration } from '../../core/duration.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Counter } from '../../core/telemetry.js'
import { eventError } from '../errors.js'
import { toJson } from '../json.js'
import type { EventShape, Recorded } from '../log.js'
import { checkName } from '../names.js'
import type { AsyncTransaction, SyncTransaction } from '../../core/application-transaction.js'
import type { Handler, HandlerContext, HandlerResult } from '../pubsub/message.js'
import type { InboxId, InboxRows, InboxStore } from './store.js'

/** Options of an inbox. */
export interface InboxOptions {
  /** How long ids are known. Default `'7d'`. */
  retention?: Duration
  /** Whether to make its tables if they are not there. Default true. */
  migrate?: boolean
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<InboxOptions> = {
  retention: { kind: 'duration', min: 1, doc: 'how long ids are known' },
  migrate: { kind: 'boolean', doc: 'whether to make its tables' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** Options of `once`. */
export interface OnceOptions {
  /** Whose ids these are: the same id is another one in another scope. Up to 255 bytes. Default `''`. */
  scope?: string
  /** What came with the id, or a hash of it: with another one the id is refused. Default: not compared. */
  fingerprint?: string
}

const ONCE_OPTIONS: OptionTable<OnceOptions> = {
  scope: { kind: 'string', doc: 'whose ids these are' },
  fingerprint: { kind: 'string', doc: 'what came with the id' },
}

/** What came of something that is done once. */
export interface Once<Result> {
  /** What the work has given: now, or when it was done. */
  readonly result: Result
  /** It had been done before, and nothing was done now. */
  readonly isRepeated: boolean
}

/** Ids of what was received, kept in a database of your own beside what was made of it. */
export interface Inbox<Db> extends AsyncDisposable {
  /**
   * Does something unless it was done before under this id. The id is written in your transaction, and so is what the work
   * gives, to be given again.
   *
   * Guarantee: of all transactions with this id one commits the work, as long as the id is known; that goes for what is
   * written in these transactions, and for nothing else that the work does.
   *
   * @param transaction - where a transaction is open; as for `publish` of an outbox
   * @param message - what has an id, or the id: of a message, an idempotency key of a request, a step of a saga
   * @param work - does it in that transaction; what it gives is JSON, or nothing
   * @returns at once if database and work answer at once
   * @throws `BANYAN_INVALID_OPTIONS`; `BANYAN_INBOX_MISMATCH` if the fingerprint is another one; what the work and the
   *   database throw: what the work has written in the transaction is undone, and that can go on. `BANYAN_OUTBOX_CLOSED`
   */
  once<Result>(
    transaction: SyncTransaction & { readonly query?: never },
    message: string | { readonly id: string },
    work: () => Promise<Result>,
    options?: OnceOptions,
  ): Promise<Once<Result>>
  once<Result>(
    transaction: AsyncTransaction,
    message: string | { readonly id: string },
    work: () => Result | Promise<Result>,
    options?: OnceOptions,
  ): Promise<Once<Result>>
  once<Result>(
    transaction: SyncTransaction,
    message: string | { readonly id: string },
    work: () => Result,
    options?: OnceOptions,
  ): Once<Result>

  /**
   * A handler for `subscription.handle` that does its work once, in a transaction of this inbox's own. The name of the
   * subscription is the scope.
   *
   * @param work - gets the transaction first
   */
  handler<Event extends EventShape = EventShape>(
    work: (db: Db, event: Recorded<Event>, context: HandlerContext) => HandlerResult | Promise<HandlerResult>,
  ): Handler<Event>

  /**
   * Forgets ids that are older than `retention`; done by itself once an hour as well.
   *
   * @returns how many
   */
  clean(): Promise<number>

  /** Lets go of the database. */
  close(): Promise<void>
}

const CLEAN_EVERY_MS = 3_600_000
/** Ids of one transaction that cleans. */
const CLEAN_ROWS = 1000

/** An inbox over a store. */
export class StoredInbox<Db> implements Inbox<Db> {
  readonly #store: InboxStore<Db>
  readonly #retention: number
  readonly #runtime: Runtime
  readonly #messages: Counter
  #cleaning: Promise<unknown> = Promise.resolve()
  #timer: Timer | undefined
  #closed: Promise<void> | undefined

  constructor(store: InboxStore<Db>, { retention = '7d', runtime = systemRuntime }: InboxOptions) {
    this.#store = store
    this.#retention = duration(retention, 'retention')
    this.#runtime = runtime
    this.#messages = runtime.telemetry.counter('banyan.inbox.messages', {
      description: 'What came, by whether it was done or had been before.',
      unit: '{message}',
    })
    this.#cleanLater()
  }

  once<Result>(
    transaction: SyncTransaction | AsyncTransaction,
    message: string | { readonly id: string },
    work: () => Promise<Result>,
    options?: OnceOptions,
  ): Promise<Once<Result>>
  once<Result>(
    transaction: SyncTransaction,
    message: string | { readonly id: string },
    work: () => Result,
    options?: OnceOptions,
  ): Once<Result>
  once(
    transaction: unknown,
    message: string | { readonly id: string },
    work: () => unknown,
    options: OnceOptions = {},
  ): Maybe<Once<unknown>> {
    const isClient = typeof transaction === 'object' && transaction !== null && 'query' in transaction
    try {
      checkOptions('once', ONCE_OPTIONS, options)
      this.#mustBeOpen()
      const rows = this.#store.within(transaction)
      return saved(rows, () => this.#once(rows, message, work, options))
    } catch (error) {
      if (isClient) return Promise.reject(error)
      throw error
    }
  }

  handler<Event extends EventShape>(
    work: (db: Db, event: Recorded<Event>, context: HandlerContext) => HandlerResult | Promise<HandlerResult>,
  ): Handler<Event> {
    return async (event, context) => {
      this.#mustBeOpen()
      const { result } = await this.#store.transact((db, rows) =>
        this.#once(rows, event, () => work(db, event, context), { scope: context.subscription }),
      )
      return result as HandlerResult
    }
  }

  async clean(): Promise<number> {
    const before = this.#runtime.clock.wall() - this.#retention
    let count = 0
    for (;;) {
      const removed = await this.#store.clean(before, CLEAN_ROWS)
      count += removed
      if (removed < CLEAN_ROWS || this.#closed) return count
    }
  }

  close(): Promise<void> {
    this.#timer?.cancel()
    this.#closed ??= Promise.resolve().then(async () => {
      await this.#cleaning
      await this.#store.close()
    })
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #mustBeOpen(): void {
    if (this.#closed) throw eventError('BANYAN_OUTBOX_CLOSED', 'the inbox is closed')
  }

  #once(
    rows: InboxRows,
    message: string | { readonly id: string },
    work: () => unknown,
    { scope = '', fingerprint }: OnceOptions,
  ): Maybe<Once<unknown>> {
    const id = idOf(message, scope)
    const received = Math.floor(this.#runtime.clock.wall())
    return andThen(rows.take(id, fingerprint ?? null, received), (isNew) => {
      if (isNew) return this.#work(rows, id, work)
      return andThen(rows.find(id), (found) => this.#again(id, found, fingerprint))
    })
  }

  #work(rows: InboxRows, id: InboxId, work: () => unknown): Maybe<Once<unknown>> {
    return andThen(work() as Maybe<object>, (result: unknown) => {
      this.#messages.add(1, { 'banyan.outcome': 'handled' })
      const once = { result, isRepeated: false }
      if (result === undefined) return once
      return andThen(rows.finish(id, toJson(result, `the result of ${id.id}`)) as Maybe<object>, () => once)
    })
  }

  #again(
    { id, scope }: InboxId,
    found: { readonly fingerprint: string | null; readonly result: string | null } | undefined,
    fingerprint: string | undefined,
  ): Once<unknown> {
    if (!found)
      throw eventError(
        'BANYAN_OUTBOX_UNAVAILABLE',
        `${id} was being forgotten just now, as it is older than the retention of the inbox; try it again`,
      )
    if (fingerprint !== undefined && found.fingerprint !== null && found.fingerprint !== fingerprint)
      throw eventError(
        'BANYAN_INBOX_MISMATCH',
        `the id ${id}${scope === '' ? '' : ` of ${scope}`} was received before with something else; an id belongs to one message`,
      )
    this.#messages.add(1, { 'banyan.outcome': 'repeated' })
    return { result: found.result === null ? undefined : JSON.parse(found.result), isRepeated: true }
  }

  #cleanLater(): void {
    const { clock, telemetry } = this.#runtime
    this.#timer = clock.schedule(clock.now() + CLEAN_EVERY_MS, () => {
      this.#cleaning = this.clean().catch((error: unknown) =>
        telemetry.log('warn', `old ids of the inbox are not forgotten yet: ${String(error)}`),
      )
      if (!this.#closed) this.#cleanLater()
    })
  }
}

/** Undoes what was written if it fails: whoever catches that and commits has all of it, or nothing. */
function saved<Result>(rows: InboxRows, work: () => Maybe<Result>): Maybe<Result> {
  return andThen(rows.save() as Maybe<object>, () => {
    const undo = (error: unknown): Maybe<never> => {
      const undone = attempt(() => rows.undo())
      if (!isPromise(undone)) throw error
      return undone.then(
        () => Promise.reject(error as Error),
        () => Promise.reject(error as Error),
      )
    }
    const keep = (result: Result): Maybe<Result> => andThen(rows.release() as Maybe<object>, () => result)
    try {
      const result = andThen(work(), keep)
      return isPromise(result) ? result.catch(undo) : result
    } catch (error) {
      return undo(error)
    }
  })
}

/** What cannot be undone, as the connection is lost or the transaction is over, leaves the first error to be told. */
function attempt(work: () => Maybe<unknown>): Maybe<unknown> {
  try {
    return work()
  } catch {
    return undefined
  }
}

function idOf(message: string | { readonly id: string }, scope: string): InboxId {
  const id: unknown = typeof message === 'object' ? (message as { id?: unknown } | null)?.id : message
  checkName(id, 'the id of what was received', 'BANYAN_INVALID_EVENT')
  if (Buffer.byteLength(scope) > 255)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'the scope of an id has 255 bytes at most')
  return { scope, id }
}

/** @throws `BANYAN_INVALID_OPTIONS` */
export function checkInboxOptions(options: InboxOptions): void {
  checkOptions('openInbox', OPTIONS, options)
}
