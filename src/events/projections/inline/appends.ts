import { BanyanError } from '../../../core/errors.js'
import { sleep } from '../../../core/clock.js'
import { formatDuration } from '../../../core/duration.js'
import type { Runtime } from '../../../core/runtime.js'
import { defaultId } from '../../encode.js'
import { eventError } from '../../errors.js'
import type { AppendResult, Commit, EventLog, TransactionAppender, TransactionResult } from '../../log.js'
import { describeVersion } from '../checkpoint.js'
import { isPassing } from '../failures.js'
import { reasonOf } from '../handling.js'
import { MovedError, type ReadModelStore, type StoreTransaction } from '../store.js'
import type { InlineSettings } from './options.js'
import { BehindError, type InlineReadModel } from './read-model.js'

/** Commits of one transaction, at most. */
const GROUP = 64
/** Between tries, in ms. */
const PAUSE_FIRST_MS = 5
const PAUSE_LAST_MS = 500

interface Waiting {
  readonly commit: Commit
  readonly resolve: (result: TransactionResult) => void
  readonly reject: (error: unknown) => void
}

/**
 * Appends in transactions that bring read models to where the log is then. Appends that come while one is on its way share
 * the next: they would only wait for each other, as each holds the checkpoints.
 */
export class InlineAppends<Db> {
  readonly #models: readonly InlineReadModel<Db>[]
  readonly #store: ReadModelStore<Db>
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #settings: InlineSettings
  readonly #closing: AbortSignal
  #waiting: Waiting[] = []
  #running: Promise<void> | undefined

  /** @param models - in an order that is the same everywhere, so that no two wait for each other */
  constructor(
    models: readonly InlineReadModel<Db>[],
    store: ReadModelStore<Db>,
    log: EventLog,
    runtime: Runtime,
    settings: InlineSettings,
    closing: AbortSignal,
  ) {
    this.#models = models
    this.#store = store
    this.#log = log
    this.#runtime = runtime
    this.#settings = settings
    this.#closing = closing
  }

  async append(given: Commit): Promise<AppendResult> {
    // A try whose outcome is not known is repeated under the same id.
    const commit = { ...given, id: given.id ?? defaultId(given.streams ?? [], this.#runtime.clock) }
    const result = await new Promise<TransactionResult>((resolve, reject) => {
      this.#waiting.push({ commit, resolve, reject })
      this.#running ??= this.#run()
    })
    if (!result.ok) return result
    // It is there; only the log says where.
    const appended = await this.#log.append(commit)
    return appended.ok ? { ...appended, duplicate: result.duplicate } : appended
  }

  /** In a transaction of the application's. */
  async within(transaction: unknown, commit: Commit, wantsEvents: boolean): Promise<TransactionResult> {
    try {
      const appender = this.#log.within(transaction, { events: true })
      const [result] = await this.#store.join!(transaction, (joined) =>
        this.#transact(joined, appender, [commit]),
      )
      return wantsEvents ? result! : withoutEvents(result!)
    } catch (error) {
      if (error instanceof BehindError) throw this.#behind(error, 0)
      if (!(error instanceof MovedError)) throw error
      throw eventError(
        'BANYAN_READ_MODEL_UNAVAILABLE',
        'the transaction and another were in the way of each other: roll it back and run it again',
        error,
      )
    }
  }

  /** Resolves when nothing is on its way any more. */
  async settle(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    while (this.#waiting.length > 0) await this.#group(this.#waiting.splice(0, GROUP))
    this.#running = undefined
  }

  async #group(group: readonly Waiting[]): Promise<void> {
    try {
      const results = await this.#patiently(group.map(({ commit }) => commit))
      for (const [index, { resolve }] of group.entries()) resolve(results[index]!)
    } catch (error) {
      if (group.length === 1 || isOfAll(error)) for (const { reject } of group) reject(error)
      // Which of them it was is found out one by one.
      else for (const one of group) await this.#group([one])
    }
  }

  async #patiently(commits: readonly Commit[]): Promise<readonly TransactionResult[]> {
    const { clock } = this.#runtime
    const until = clock.now() + this.#settings.wait
    for (let pause = PAUSE_FIRST_MS; ; pause = Math.min(pause * 2, PAUSE_LAST_MS)) {
      try {
        return await this.#store.write((transaction) =>
          this.#transact(transaction, this.#log.within(transaction.client, { events: true }), commits),
        )
      } catch (error) {
        const isBehind = error instanceof BehindError
        if (!isBehind && !(error instanceof MovedError) && !isPassing(error)) throw error
        if (clock.now() >= until || this.#closing.aborted)
          throw isBehind ? this.#behind(error, this.#settings.wait) : this.#unknown(commits, error)
      }
      await sleep(clock, pause, this.#closing).catch(() => undefined)
    }
  }

  async #transact(
    transaction: StoreTransaction<Db>,
    appender: TransactionAppender,
    commits: readonly Commit[],
  ): Promise<TransactionResult[]> {
    const rows = []
    for (const model of this.#models) rows.push(await model.lock(transaction))
    const results: TransactionResult[] = []
    for (const commit of commits) results.push(await appender.append(commit))
    const appended = results.flatMap((result) => (result.ok ? (result.events ?? []) : []))
    if (appended.length > 0)
      for (const [index, model] of this.#models.entries())
        await model.catchUp(transaction, rows[index]!, appended)
    return results
  }

  #behind({ row }: BehindError, waited: number): Error {
    return eventError(
      'BANYAN_PROJECTION_BEHIND',
      `nothing was appended: ${describeVersion(row)} is at position ${row.position}, and more than ${this.#settings.batch} events behind, ` +
        `${waited > 0 ? `and was so for ${formatDuration(waited)}` : 'which is more than an append handles first'}. ` +
        `${row.owner === '' ? 'Nobody runs it: run it' : 'Wait'} until it has caught up`,
    )
  }

  #unknown(commits: readonly Commit[], error: unknown): Error {
    return eventError(
      'BANYAN_OUTCOME_UNKNOWN',
      `commit ${commits.map(({ id }) => id).join(', ')} may have been appended or not: ${reasonOf(error)}. ` +
        'Append it again with the same id to know',
      error,
    )
  }
}

/** It would be the same for each commit of a group. */
function isOfAll(error: unknown): boolean {
  return (
    error instanceof BanyanError &&
    ['BANYAN_OUTCOME_UNKNOWN', 'BANYAN_PROJECTION_BEHIND'].includes(error.code)
  )
}

function withoutEvents(result: TransactionResult): TransactionResult {
  if (!result.ok) return result
  const { ok, id, streams, duplicate } = result
  return { ok, id, streams, duplicate }
}
