import { backoffWait } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import { eventError } from '../errors.js'
import type { ChangeCapture } from './change-capture.js'
import { forget } from './forget.js'
import { CaptureInstruments } from './instruments.js'
import { Lag } from './lag.js'
import type { CaptureSettings } from './options.js'
import { discarding } from './discard.js'
import { Parking, type ParkedChange, type ParkedSelection } from './parking.js'
import { Requests } from './requests.js'
import { retryRows } from './retry.js'
import { Session, type SessionObserver } from './session.js'
import type { ChangeSource } from './source.js'
import { MovedError, type CaptureState } from './state.js'
import type { CaptureStateName, CaptureStatus, Discarded, Retried } from './status.js'

/** Between tries, in ms. */
const RETRY = { base: 100, factor: 2, max: 10_000 }
/** A session that lasted so long, in ms, was none that failed at once. */
const LASTED_MS = 10_000

/** Nothing that passes, and nothing that is mended while this process runs. */
const ENDING = new Set(['BANYAN_LOG_CLOSED', 'BANYAN_LOG_CORRUPT', 'BANYAN_LOG_FORMAT'])
/** What whoever starts a capture is told at once. */
const REFUSED = new Set([
  ...ENDING,
  'BANYAN_SOURCE_UNPREPARED',
  'BANYAN_INVALID_OPTIONS',
  'BANYAN_DRIVER_MISSING',
])
const NEEDS_SNAPSHOT = new Set(['BANYAN_SLOT_LOST', 'BANYAN_SOURCE_CHANGED'])

export class RunningCapture implements ChangeCapture, SessionObserver {
  readonly name: string
  readonly ended: Promise<void>
  lost: Error | undefined
  readonly #settings: CaptureSettings
  readonly #source: ChangeSource
  readonly #requests = new Requests()
  readonly #instruments: CaptureInstruments
  readonly #closing = new AbortController()
  readonly #started: Promise<void>
  #startedNow: { resolve: () => void; reject: (error: unknown) => void } | undefined
  #session: Session | undefined
  #state: CaptureStateName = 'connecting'
  #known: CaptureState | undefined
  #snapshot: { table: string; rows: number } | undefined
  #error: { code: string; message: string } | undefined
  readonly #lag: Lag
  /** When it was last streaming, in ms since the epoch. */
  #freshAt: number
  #napping: AbortController | undefined
  #isStarted = false

  constructor(settings: CaptureSettings, source: ChangeSource, signal?: AbortSignal) {
    this.name = settings.name
    this.#settings = settings
    this.#source = source
    this.#lag = new Lag(source.place, settings.maxLag)
    this.#freshAt = settings.runtime.clock.wall()
    this.#instruments = new CaptureInstruments(settings.runtime, settings.name, {
      lagBytes: () => this.#lag.bytes ?? 0,
      lagMs: () => this.#lagMs(),
      parked: () => this.#session?.work?.parking.rows ?? 0,
    })
    this.#started = new Promise((resolve, reject) => (this.#startedNow = { resolve, reject }))
    if (signal?.aborted) this.#closing.abort(closedError(this.name))
    signal?.addEventListener('abort', () => void this.close(), { once: true, signal: this.#closing.signal })
    this.ended = this.#run()
    // Whoever does not look at it is told by the log lines.
    this.ended.catch(() => undefined)
  }

  /** Resolves when it runs, or tries to; rejects if something has to be mended first. */
  started(): Promise<void> {
    return this.#started
  }

  status(): CaptureStatus {
    const work = this.#session?.work
    const state = work?.state.state ?? this.#known
    return {
      name: this.name,
      source: this.#source.place,
      // A new snapshot has begun before its first rows are there.
      state: this.#state === 'streaming' && state?.phase === 'snapshot' ? 'snapshot' : this.#state,
      generation: state?.generation ?? 0,
      lsn: state?.lsn ?? '0/0',
      lagBytes: this.#lag.bytes,
      lagMs: this.#lagMs(),
      ...this.#instruments.counts,
      parked: work?.parking.rows ?? 0,
      waitingStreams: work?.parking.lanes ?? 0,
      snapshot: this.#snapshot,
      error: this.#error ?? this.#lag.error,
      errors: [this.#error, this.#lag.error].filter((error) => error !== undefined),
      tables: this.#settings.tables.map(({ name, topic }) => ({ table: name, topic })),
    }
  }

  async caughtUp(): Promise<void> {
    this.#mustBeOpen()
    await this.#requests.caughtUp()
  }

  async resnapshot(): Promise<void> {
    this.#mustBeOpen()
    await this.#requests.snapshot()
  }

  async retryParked(): Promise<Retried> {
    this.#mustBeOpen()
    return this.#requests.job((work) => retryRows(work))
  }

  async discardParked(which: ParkedSelection): Promise<Discarded> {
    this.#mustBeOpen()
    return this.#requests.job(discarding(which))
  }

  async *parked(): AsyncGenerator<ParkedChange, void, undefined> {
    const parking = await Parking.load(this.name, this.#settings.log)
    for await (const { id, position, stream, table, error, change } of parking.list())
      yield { id, position, stream, table, error, change }
  }

  async close(): Promise<void> {
    this.#closing.abort(closedError(this.name))
    await this.ended.catch(() => undefined)
  }

  async remove(): Promise<void> {
    await this.close()
    await this.#source.remove(this.name)
    await forget(this.name, this.#settings)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  onState(state: CaptureStateName, snapshot?: { table: string; rows: number }): void {
    this.#state = state
    this.#snapshot = snapshot
    this.#error = undefined
    this.#isStarted = true
    this.#startedNow?.resolve()
  }

  onLag(bytes: number): void {
    const error = this.#lag.measured(bytes)
    if (error) this.#instruments.log('error', error.message)
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#settings.runtime
    let failures = 0
    try {
      while (!this.#isClosing()) {
        const began = clock.now()
        try {
          this.#session = this.#newSession()
          await this.#session.run()
          failures = 0
        } catch (error) {
          if (this.#isClosing()) break
          if (clock.now() - began > LASTED_MS) failures = 0
          failures++
          const wait = this.#failed(error, backoffWait(RETRY, failures, 'equal', random))
          await this.#nap(wait)
        } finally {
          this.#known = this.#session?.work?.state.state ?? this.#known
        }
      }
    } finally {
      this.#state = 'closed'
      this.#closing.abort(closedError(this.name))
      this.#instruments.close()
      this.#requests.fail(closedError(this.name))
      this.#startedNow?.resolve()
    }
  }

  #newSession(): Session {
    const { signal } = this.#closing
    return new Session(this.#settings, this.#source, this.#requests, this, this.#instruments, signal)
  }

  /** @returns how long to wait before the next try, in ms */
  #failed(error: unknown, wait: number): number {
    // Two that take each other for dead settle it by the log; that is no fault.
    if (error instanceof MovedError) {
      this.#instruments.log('info', error.message)
      return wait
    }
    const code = error instanceof BanyanError ? error.code : 'UNEXPECTED'
    const message = error instanceof Error ? error.message : String(error)
    if (this.#state === 'streaming') this.#freshAt = this.#settings.runtime.clock.wall()
    this.#state = NEEDS_SNAPSHOT.has(code) ? 'needs-snapshot' : 'retrying'
    this.#snapshot = undefined
    this.#instruments.failed(code)
    // The same again and again is said once.
    if (this.#error?.message !== message) this.#instruments.log('error', message)
    this.#error = { code, message }
    if (ENDING.has(code) || (REFUSED.has(code) && !this.#isStarted)) {
      this.#startedNow?.reject(error)
      throw error
    }
    this.#startedNow?.resolve()
    this.#isStarted = true
    return this.#state === 'needs-snapshot' ? RETRY.max : wait
  }

  /** Waits, until somebody asks for something. */
  async #nap(ms: number): Promise<void> {
    if (this.#requests.isSnapshotAsked && this.#state === 'needs-snapshot') return
    this.#napping = new AbortController()
    this.#requests.onAsked = () => this.#napping?.abort()
    try {
      await sleep(
        this.#settings.runtime.clock,
        ms,
        AbortSignal.any([this.#napping.signal, this.#closing.signal]),
      )
    } catch {
      // It goes on at once, or ends.
    } finally {
      this.#requests.onAsked = undefined
      this.#napping = undefined
    }
  }

  #lagMs(): number {
    const wall = this.#settings.runtime.clock.wall()
    const oldest = this.#session?.work?.intake.oldest
    if (this.#state === 'streaming') return oldest === undefined ? 0 : Math.max(0, wall - oldest)
    // Another process knows.
    return this.#state === 'waiting' ? 0 : Math.max(0, wall - this.#freshAt)
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted
  }

  #mustBeOpen(): void {
    if (this.#isClosing()) throw closedError(this.name)
  }
}

function closedError(name: string): BanyanError {
  return eventError('BANYAN_CAPTURE_CLOSED', `the capture ${name} is closed`)
}
