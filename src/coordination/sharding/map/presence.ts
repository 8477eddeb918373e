import { backoffWait } from '../../../core/backoff.js'
import type { BanyanError } from '../../../core/errors.js'
import type { Coordinator, Lease, Session } from '../../coordinator.js'
import { coordinationError, hasCode, isPassing } from '../../errors.js'
import { pause } from '../../line/limit.js'
import { leave, ownId } from '../../line/own-key.js'
import { whenGone } from '../../line/when-gone.js'
import { onAbort } from '../../on-abort.js'
import { RETRY } from '../../patiently.js'
import { workerIn, type WorkerRecord } from './records.js'

/** What a worker says of itself. */
export type Said = Omit<WorkerRecord, 'worker' | 'incarnation'>

/** Whom a {@link Presence} tells. */
export interface PresenceHooks {
  /** It is known to others, with this lease. */
  came(lease: Lease): void
  /** Why it is not; undefined if that has passed. */
  kept(problem: BanyanError | undefined): void
}

/** Keeps the key of a worker: with the lease that all it has is kept with, and anew when that was lost. */
export class Presence {
  /** With which lease it is known to others; undefined while it is not. */
  lease: Lease | undefined
  readonly #coordinator: Coordinator
  readonly #session: Session
  readonly #key: string
  readonly #worker: string
  readonly #hooks: PresenceHooks
  readonly #closing = new AbortController()
  #said: Said
  /** Of what was said, and of what others know. */
  #version = 1
  #written = 0
  #incarnation: string | undefined
  #revision: number | undefined
  #doubtful = false
  #last: Lease | undefined
  #running: Promise<void> | undefined
  #wake: () => void = () => undefined

  constructor(
    coordinator: Coordinator,
    session: Session,
    key: string,
    worker: string,
    said: Said,
    hooks: PresenceHooks,
  ) {
    this.#coordinator = coordinator
    this.#session = session
    this.#key = key
    this.#worker = worker
    this.#said = said
    this.#hooks = hooks
  }

  /** Which process it is; undefined before it has tried to be known. */
  get incarnation(): string | undefined {
    return this.#incarnation
  }

  start(): void {
    this.#running = this.#run()
  }

  say(change: Partial<Said>): void {
    this.#said = { ...this.#said, ...change }
    this.#version++
    this.#wake()
  }

  /** Others say that the key is not there any more, as of this revision. */
  missed(revision: number): void {
    if (!this.lease?.held || this.#revision === undefined || revision < this.#revision) return
    this.#written = 0
    this.#wake()
  }

  /** Nobody waits for it any more. */
  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
    this.lease = undefined
    if (!this.#last || this.#last.signal.aborted) return
    const remove = async (): Promise<void> => {
      const entry = await this.#coordinator.get(this.#key)
      if (entry && workerIn(entry, this.#worker).incarnation === this.#incarnation)
        await this.#coordinator.delete(this.#key, { expected: entry.revision })
    }
    await leave(this.#coordinator, { key: this.#key, lease: this.#last, doubtful: this.#doubtful, remove })
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    const { clock, random, telemetry } = this.#coordinator.runtime
    for (let failures = 0; !this.#isClosing();)
      try {
        const failed = (error: BanyanError): void => this.#hooks.kept(error)
        const lease = await this.#session.lease({ signal, failed })
        this.#last = lease
        this.#incarnation ??= ownId(lease)
        if (!(await this.#bring(lease))) continue
        failures = 0
        this.#hooks.kept(undefined)
        if (this.lease !== lease) {
          this.lease = lease
          this.#hooks.came(lease)
        }
        await this.#disturbed(lease)
      } catch (error) {
        if (this.#isClosing() || hasCode(error, 'BANYAN_COORDINATOR_CLOSED')) return
        this.#doubtful ||= hasCode(error, 'BANYAN_OUTCOME_UNKNOWN')
        if (!isPassing(error) && !hasCode(error, 'BANYAN_LEASE_LOST'))
          telemetry.log('warn', `${this.#key} is written later: ${String(error)}`)
        await pause(clock, backoffWait(RETRY, ++failures, 'equal', random), signal)
      }
  }

  /** @returns whether it is written; otherwise what is in the way may have changed */
  async #bring(lease: Lease): Promise<boolean> {
    const version = this.#version
    const value = JSON.stringify({ ...this.#said, incarnation: this.#incarnation })
    const expected = this.#revision ?? 'absent'
    const result = await this.#coordinator.put(this.#key, value, { expected, lease })
    if (result.ok) {
      this.#revision = result.revision
      this.#written = version
      return true
    }
    const { actual } = result
    const isOwn = actual && workerIn(actual, this.#worker).incarnation === this.#incarnation
    this.#revision = isOwn ? actual.revision : undefined
    if (actual && !isOwn) await this.#standBy()
    return false
  }

  /** Another process has the name: perhaps the one before a restart, until its lease is over. */
  async #standBy(): Promise<void> {
    this.lease = undefined
    this.#hooks.kept(
      coordinationError(
        'BANYAN_NAME_CLASH',
        `another process is the worker ${JSON.stringify(this.#worker)}; this one waits until it is gone`,
      ),
    )
    await whenGone(this.#coordinator, [this.#key], this.#closing.signal)
  }

  /** Waits until it has to be written again. */
  #disturbed(lease: Lease): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        forgetLease()
        forgetClosing()
        this.#wake = () => undefined
        resolve()
      }
      this.#wake = wake
      let forgetLease = (): void => undefined
      let forgetClosing = (): void => undefined
      forgetLease = onAbort(lease.signal, wake)
      forgetClosing = onAbort(this.#closing.signal, wake)
      if (this.#written < this.#version) wake()
    })
  }
}
