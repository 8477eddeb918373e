import { backoffWait } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import type { Duration } from '../../core/duration.js'
import { duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import type { Runtime } from '../../core/runtime.js'
import type { EventLog } from '../log.js'
import { OutboxInstruments } from './instruments.js'
import { Sender } from './send.js'
import type { OutboxSource, Settled, StoredRow } from './store.js'

/** Options of a relay. */
export interface RelayOptions {
  /** Messages that are taken at once, at most. Default 500. */
  batch?: number
  /** The longest time between two looks, for when nobody has told that there is something. Default `'1s'`. */
  poll?: Duration
  /** How often a message may fail for a reason that is neither the log's nor known to last, until it is parked. Default 5. */
  attempts?: number
  /** What it is called in metrics. Default `outbox`. */
  name?: string
}

const OPTIONS: OptionTable<RelayOptions> = {
  batch: { kind: 'number', min: 1, max: 10_000, integer: true, doc: 'messages that are taken at once' },
  poll: { kind: 'duration', min: 1, doc: 'the longest time between two looks' },
  attempts: { kind: 'number', min: 1, integer: true, doc: 'tries until a message is parked' },
  name: { kind: 'string', doc: 'what it is called in metrics' },
}

/** What a relay does. */
export interface RelayStatus {
  /** `standby`: another relay is at work. `retrying`: the log or the database is not there. */
  readonly state: 'running' | 'standby' | 'retrying' | 'closed'
  /** Messages that this one has brought to the log. */
  readonly relayed: number
  /** Why it is retrying, or has ended. */
  readonly error?: string
}

/** Brings messages from an outbox to a log, until it is closed. */
export interface Relay extends AsyncDisposable {
  status(): RelayStatus
  /**
   * Resolves when it is closed; rejects if it cannot go on, as the log was closed: at once when it has something to
   * bring there, else within `poll`.
   */
  readonly ended: Promise<void>
  /** Finishes what it is doing, and takes nothing more. */
  close(): Promise<void>
}

/** Bytes of messages that are in memory, about. */
const BATCH_BYTES = 8 * 1024 * 1024
/** After the last message the next look is soon, and each one after that later, in ms. */
const LOOK_FIRST_MS = 5
const RETRY = { base: 100, factor: 2, max: 5000 }

/** The one that `relay` of an outbox starts. */
export class RunningRelay implements Relay {
  readonly ended: Promise<void>
  readonly #source: OutboxSource
  readonly #log: EventLog
  readonly #sender: Sender
  readonly #runtime: Runtime
  readonly #instruments: OutboxInstruments
  readonly #settings: { rows: number; poll: number }
  readonly #closing = new AbortController()
  #state: RelayStatus['state'] = 'running'
  #relayed = 0
  #error: string | undefined

  /** @throws `BANYAN_INVALID_OPTIONS` */
  constructor(source: () => OutboxSource, log: EventLog, options: RelayOptions, runtime: Runtime) {
    checkOptions('the relay of an outbox', OPTIONS, options)
    const { append, head } = (log as Partial<EventLog> | null | undefined) ?? {}
    if (typeof append !== 'function' || typeof head !== 'function')
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        'a relay brings messages to an event log: give it one that openLog has opened',
      )
    this.#log = log
    const { batch = 500, poll = '1s', attempts = 5, name = 'outbox' } = options
    this.#settings = { rows: batch, poll: duration(poll, 'poll') }
    this.#runtime = runtime
    this.#instruments = new OutboxInstruments(runtime, name)
    this.#sender = new Sender(log, runtime, attempts)
    this.#source = source()
    this.ended = this.#run()
    // Told to whoever asks, and in the log line.
    this.ended.catch(() => undefined)
  }

  status(): RelayStatus {
    const error = this.#error
    return { state: this.#state, relayed: this.#relayed, ...(error !== undefined && { error }) }
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.ended.catch(() => undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #run(): Promise<void> {
    const { signal } = this.#closing
    try {
      let pause = LOOK_FIRST_MS
      let failures = 0
      let lookedAt = -Infinity
      while (!signal.aborted) {
        try {
          // Where nothing is to be done, nothing else would tell that the log was closed.
          if (this.#runtime.clock.now() - lookedAt >= this.#settings.poll) {
            await this.#mustHaveLog()
            lookedAt = this.#runtime.clock.now()
          }
          const begun = this.#runtime.clock.now()
          const done = await this.#work()
          if (this.#error !== undefined)
            this.#runtime.telemetry.log('info', 'the relay of the outbox goes on')
          this.#error = undefined
          failures = 0
          if (done === 'some') {
            pause = LOOK_FIRST_MS
            // It rests as long as it has worked, unless there is more than it can take at once: so it takes no more than
            // half of a connection, and what comes meanwhile goes together.
            const worked = this.#runtime.clock.now() - begun
            await sleep(this.#runtime.clock, Math.min(worked, this.#settings.poll), signal).catch(
              () => undefined,
            )
          } else if (done === 'none') {
            await this.#source.changed(pause, signal)
            pause = Math.min(pause * 2, this.#settings.poll)
          }
        } catch (error) {
          this.#failed(error)
          const wait = backoffWait(RETRY, ++failures, 'equal', this.#runtime.random)
          await sleep(this.#runtime.clock, wait, signal).catch(() => undefined)
        }
      }
    } finally {
      this.#state = 'closed'
      await this.#source.close()
    }
  }

  /** @throws `BANYAN_LOG_CLOSED`; what else is wrong with the log is told by who appends */
  async #mustHaveLog(): Promise<void> {
    try {
      await this.#log.head()
    } catch (error) {
      if (error instanceof BanyanError && error.code === 'BANYAN_LOG_CLOSED') throw error
    }
  }

  /** @returns what it has found; `all` if there may be more at once */
  async #work(): Promise<'all' | 'some' | 'none'> {
    const { rows, poll } = this.#settings
    const done = await this.#source.work({ rows, bytes: BATCH_BYTES }, (found) => this.#send(found))
    if (done === 'busy') {
      this.#state = 'standby'
      await this.#source.changed(poll, this.#closing.signal)
      return 'all'
    }
    this.#state = 'running'
    // What has failed alone is tried again, and not at once.
    if (done.settled < done.found && done.settled === 0) throw new Error('messages fail, and are tried again')
    if (done.settled === 0) return 'none'
    return done.found < rows ? 'some' : 'all'
  }

  async #send(found: readonly StoredRow[]): Promise<Settled> {
    const settled = await this.#sender.send(found)
    const now = this.#runtime.clock.wall()
    const isRelayed = new Set(settled.relayed)
    for (const { number, published } of found)
      if (isRelayed.has(number)) this.#instruments.lag.record(Math.max(0, now - published) / 1000)
    this.#relayed += settled.relayed.length
    this.#instruments.relayed.add(settled.relayed.length)
    for (const { number, reason } of settled.parked) {
      const row = found.find((each) => each.number === number)
      this.#runtime.telemetry.log('error', `message ${row?.id} of topic ${row?.topic} is parked: ${reason}`)
    }
    return settled
  }

  /** @throws if it cannot go on */
  #failed(error: unknown): void {
    const said = error instanceof Error ? error.message : String(error)
    const isOver = error instanceof BanyanError && ENDS.has(error.code)
    if (said !== this.#error && !(isOver && this.#closing.signal.aborted))
      this.#runtime.telemetry.log(
        isOver ? 'error' : 'warn',
        `the relay of an outbox ${isOver ? 'has ended' : 'waits'}: ${said}`,
      )
    this.#error = said
    this.#state = 'retrying'
    this.#instruments.failures.add(1)
    if (isOver) throw error
  }
}

const ENDS = new Set(['BANYAN_LOG_CLOSED', 'BANYAN_OUTBOX_CLOSED'])
