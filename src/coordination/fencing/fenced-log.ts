import { BanyanError } from '../../core/errors.js'
import type {
  AppendResult,
  Batch,
  Capabilities,
  Commit,
  Conflicted,
  EventLog,
  EventShape,
  Finding,
  FollowOptions,
  LogStats,
  PendingEvent,
  Position,
  ReadOptions,
  Recorded,
  Selector,
  StreamAppend,
  StreamInfo,
  StreamsOptions,
  TransactionAppender,
  TransactionResult,
  TruncateResult,
  Truncation,
  VerifyOptions,
} from '../../events/log.js'
import { coordinationError } from '../errors.js'
import { claimOf, type CheckedClaim, type Claim } from './claim.js'
import { LogFence } from './log-fence.js'

/** An event log as one holder of something may use it. See {@link fenced}. */
export interface FencedLog extends EventLog {
  /**
   * From then on nobody with a lower token can append; done by the first use of this log. Call it before you read elsewhere
   * what you will decide by: what is read before can still be changed by who held it before.
   *
   * @throws `BANYAN_STALE_TOKEN`, `BANYAN_FENCE_UNKNOWN`; what `append` throws
   */
  raise(): Promise<void>
}

/**
 * An event log that takes nothing from who has been replaced: an append with a lower token than was used under this fence is
 * refused with `BANYAN_STALE_TOKEN` ({@link StaleTokenError}), by the log itself, in the same step in which it would have been
 * appended. So it does not matter how long a process was stopped, or its request was on the way.
 *
 * - The first use, be it a read or an append, raises the fence. What is read through this log is therefore never changed by
 *   earlier holders afterwards.
 * - All appenders of a resource must be fenced, under the same name. Events may be appended to any stream.
 * - Fencing keeps holders apart. It does not order what one holder does at the same time: use `expected` for that.
 * - A conflict on a stream of yours is a conflict, as without a fence; if the token is stale that is said instead.
 * - The id of a commit is looked at first, as always: who repeats a commit that is in the log may get its first result, also
 *   with a stale token, and nothing is appended.
 * - `within` fences transactions: the fence cannot be raised before they end.
 * - `truncate`, `hold` and `release` look at the fence before, not in the same step.
 *
 * The fence is the stream `$fence-NAME`, with one event for each token. (Sequencers of Chubby; M. Kleppmann, How to do
 * distributed locking, 2016.)
 *
 * @param claim - the name of the fence, and what is held or its token
 * @returns a view, whose `close` leaves the log open
 * @throws `BANYAN_INVALID_OPTIONS`; `BANYAN_UNSUPPORTED` if commits of the log are not atomic over streams
 */
export function fenced(log: EventLog, claim: Claim): FencedLog {
  const checked = claimOf(claim)
  if (log.capabilities.atomic !== 'log')
    throw coordinationError(
      'BANYAN_UNSUPPORTED',
      `the ${log.capabilities.driver} driver has no commits over several streams, so it cannot look at a fence while it appends`,
    )
  return new GuardedLog(log, checked)
}

class GuardedLog implements FencedLog {
  readonly capabilities: Capabilities
  readonly #log: EventLog
  readonly #claim: CheckedClaim
  readonly #fence: LogFence
  readonly #pending = new Set<Promise<unknown>>()
  #closed = false

  constructor(log: EventLog, claim: CheckedClaim) {
    this.capabilities = log.capabilities
    this.#log = log
    this.#claim = claim
    this.#fence = new LogFence(log, claim)
  }

  get transformed(): boolean {
    return this.#log.transformed ?? false
  }

  newestVersion(type: string): number | undefined {
    return this.#log.newestVersion?.(type)
  }

  asRead(append: StreamAppend): Promise<readonly PendingEvent[]> {
    return this.#log.asRead?.(append) ?? Promise.resolve([])
  }

  async raise(): Promise<void> {
    await this.#raised()
  }

  append(commit: Commit): Promise<AppendResult> {
    return this.#guarded(commit, (guarded) => this.#log.append(guarded))
  }

  within(transaction: unknown, options?: { events?: boolean }): TransactionAppender {
    const appender = this.#log.within(transaction, options)
    return {
      append: (commit): Promise<TransactionResult> =>
        this.#guarded(commit, (guarded) => appender.append(guarded)),
    }
  }

  async *read<Event extends EventShape = EventShape>(
    selector?: Selector,
    options?: ReadOptions,
  ): AsyncGenerator<Recorded<Event>, void, undefined> {
    await this.#raised()
    yield* this.#log.read<Event>(selector, options)
  }

  async *follow<Event extends EventShape = EventShape>(
    selector?: Selector,
    options?: FollowOptions,
  ): AsyncGenerator<Batch<Recorded<Event>>, void, undefined> {
    await this.#raised()
    yield* this.#log.follow<Event>(selector, options)
  }

  async head(): Promise<Position> {
    await this.#raised()
    return this.#log.head()
  }

  async positionAt(time: number): Promise<Position> {
    await this.#raised()
    return this.#log.positionAt(time)
  }

  async revision(stream: string): Promise<number | 'none'> {
    await this.#raised()
    return this.#log.revision(stream)
  }

  async *streams(options?: StreamsOptions): AsyncGenerator<StreamInfo, void, undefined> {
    await this.#raised()
    yield* this.#log.streams(options)
  }

  async truncate(what: Truncation): Promise<TruncateResult> {
    await this.#looked()
    return this.#log.truncate(what)
  }

  async hold(name: string, position: Position): Promise<void> {
    await this.#looked()
    return this.#log.hold(name, position)
  }

  async release(name: string): Promise<void> {
    await this.#looked()
    return this.#log.release(name)
  }

  stats(): Promise<LogStats> {
    return this.#log.stats()
  }

  verify(options?: VerifyOptions): AsyncIterable<Finding> {
    return this.#log.verify(options)
  }

  backup(to: string): Promise<void> {
    return this.#log.backup(to)
  }

  /** Refuses new appends and waits for those that were accepted. The log stays open. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.allSettled(this.#pending)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #guarded<Result extends { readonly ok: true } | Conflicted>(
    commit: Commit,
    append: (commit: Commit) => Promise<Result>,
  ): Promise<Result> {
    const appended = this.#append(commit, append)
    const settled = (): unknown => this.#pending.delete(appended)
    this.#pending.add(appended)
    appended.then(settled, settled)
    return appended
  }

  async #append<Result extends { readonly ok: true } | Conflicted>(
    commit: Commit,
    append: (commit: Commit) => Promise<Result>,
  ): Promise<Result> {
    this.#mustBeOpen()
    const { checks = [] } = commit
    // What is no commit is told by the log.
    if (!Array.isArray(checks)) return append(commit)
    const { stream } = this.#fence
    this.#claim.check()
    for (let passed: number | undefined; ;) {
      const expected = await this.#fence.raised(passed)
      const result = await append({
        ...commit,
        checks: [...(checks as NonNullable<Commit['checks']>), { stream, expected }],
      })
      if (result.ok || !result.conflicts.some((conflict) => conflict.stream === stream)) return result
      passed = expected
    }
  }

  async #raised(): Promise<void> {
    this.#mustBeOpen()
    await this.#fence.raised()
  }

  async #looked(): Promise<void> {
    this.#mustBeOpen()
    this.#claim.check()
    await this.#fence.raised(await this.#fence.raised())
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new BanyanError('BANYAN_LOG_CLOSED', 'the fenced log is closed')
  }
}
