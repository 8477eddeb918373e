import { sleep } from '../../core/clock.js'
import { duration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Coordinator, Lease } from '../../coordination/coordinator.js'
import { eventError } from '../errors.js'
import type { AppendResult, Commit, EventLog } from '../log.js'
import { epochOf, notLeader, type ReplicatedDriver } from '../replica.js'
import { replicatedEngineOf } from './leader.js'
import { LeaderKeys } from './leader-keys.js'

/** Options of {@link leadLog}. */
export interface LeadOptions {
  /** Who leads, for people; default the id of the process. */
  name?: string
  /** Of the lease; default 10 s. After half of it without the coordinator no append is acknowledged. */
  ttl?: Duration
  /** How long whoever else has the lease is waited for at first, as the same leader before a restart; default twice the ttl. */
  wait?: Duration
  signal?: AbortSignal
}

const OPTIONS: OptionTable<LeadOptions> = {
  name: { kind: 'string', doc: 'who leads' },
  ttl: { kind: 'duration', doc: 'of the lease' },
  wait: { kind: 'duration', doc: 'how long whoever else leads is waited for' },
  signal: { kind: 'code', type: 'object', doc: 'ends the waiting' },
}
/** Between looks whether the log is still the leader's, in ms. */
const LOOK_MS = 500

/** A leader's place. */
export interface LogLead extends AsyncDisposable {
  readonly epoch: number
  /** Whether appends are taken at this moment. */
  readonly held: boolean
  /** Appends only while the lease is held: before and after. */
  append(commit: Commit): Promise<AppendResult>
  /** Gives the place back; the log stays open. */
  close(): Promise<void>
}

/**
 * Leads a log under a lease of a coordinator. All who append to the log do it through this: then no append is acknowledged by
 * an old leader after a new one was promoted, reachable or not. It stops at half of the ttl, when it has not heard of the
 * coordinator; and an append that was under way then is answered with `BANYAN_OUTCOME_UNKNOWN`.
 *
 * @param log - stays open
 * @throws `BANYAN_LOG_FENCED` if a higher epoch has begun, and the log is fenced then, durably; `BANYAN_READ_ONLY`;
 *   `BANYAN_PROMOTION_REFUSED` if somebody else leads; what the coordinator throws
 */
export async function leadLog(
  log: EventLog,
  coordinator: Coordinator,
  options: LeadOptions = {},
): Promise<LogLead> {
  checkOptions('leadLog', OPTIONS, options)
  const { name = `process ${process.pid}`, signal } = options
  const ttl = duration(options.ttl ?? '10s', 'ttl')
  const wait = duration(options.wait ?? 2 * ttl, 'wait')
  const driver = replicatedEngineOf(log)
  const lead = new LeasedLead(log, driver, coordinator, (await driver.replica.state()).log, { name, ttl })
  await lead.take(wait, signal)
  lead.keep()
  return lead
}

class LeasedLead implements LogLead {
  readonly #log: EventLog
  readonly #driver: ReplicatedDriver
  readonly #coordinator: Coordinator
  readonly #keys: LeaderKeys
  readonly #settings: { readonly name: string; readonly ttl: number }
  readonly #closing = new AbortController()
  #epoch = 0
  #lease: Lease | undefined
  #keeping: Promise<void> = Promise.resolve()

  constructor(
    log: EventLog,
    driver: ReplicatedDriver,
    coordinator: Coordinator,
    id: string,
    settings: { name: string; ttl: number },
  ) {
    this.#log = log
    this.#driver = driver
    this.#coordinator = coordinator
    this.#settings = settings
    this.#keys = new LeaderKeys(coordinator, id)
  }

  get epoch(): number {
    return this.#epoch
  }

  get held(): boolean {
    return this.#lease?.held ?? false
  }

  async append(commit: Commit): Promise<AppendResult> {
    const lease = this.#lease
    const isHeld = (): boolean => lease?.held ?? false
    if (!isHeld())
      throw eventError(
        'BANYAN_LOG_UNAVAILABLE',
        'this leader does not hold its lease at the moment, as the coordinator cannot be reached, or another leads; nothing was appended',
      )
    const result = await this.#log.append(commit)
    if (isHeld()) return result
    throw eventError(
      'BANYAN_OUTCOME_UNKNOWN',
      'the lease of this leader ended during the append: it may not be in the log of the next leader. Append it there again, with the same id',
    )
  }

  /** Takes the place, if the log is the leader's. */
  async take(within: number, signal?: AbortSignal): Promise<void> {
    const state = await this.#driver.replica.state()
    if (state.role !== 'leader') throw notLeader(state)
    this.#epoch = epochOf(state)
    const { name, ttl } = this.#settings
    try {
      this.#lease = await this.#keys.take({ epoch: this.#epoch, name, within, ttl, signal })
    } catch (error) {
      if (error instanceof BanyanError && error.code === 'BANYAN_LOG_FENCED') await this.#fence()
      throw error
    }
  }

  /** Takes the place again when the lease was lost, and gives it back when the log is not the leader's any more. */
  keep(): void {
    this.#keeping = this.#keep()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#keeping
    await this.#lease?.release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #keep(): Promise<void> {
    const { signal } = this.#closing
    const { clock, telemetry } = this.#coordinator.runtime
    const isOver = (): boolean => signal.aborted
    while (!isOver()) {
      await sleep(clock, LOOK_MS, signal).catch(() => undefined)
      if (isOver()) return
      try {
        if ((await this.#driver.replica.state()).role !== 'leader') {
          await this.#lease?.release()
          return
        }
        if (!this.held) await this.take(0, signal)
      } catch (error) {
        if (isOver()) return
        telemetry.log('warn', `this leader has no lease: ${String(error)}`)
      }
    }
  }

  async #fence(): Promise<void> {
    const now = await this.#keys.epoch()
    await this.#driver.replica.become(
      { role: 'fenced', ...(now && { fencedBy: now.epoch }) },
      { role: 'leader', epoch: this.#epoch },
    )
  }
}
