import type { Attributes, Counter, Telemetry } from '../../../core/telemetry.js'
import type { CloseReason } from './exchange.js'

/** What `banyan status` shows of the connections to an endpoint. */
export interface PoolState {
  open: number
  /** Open, and without a request. */
  idle: number
  /** Callers that wait for a connection. */
  waiting: number
  /** Since the start: connections opened, attempts that failed, and callers that were refused. */
  opened: number
  failed: number
  refused: number
  /** Since the start: connections closed, by reason. */
  closed: Partial<Record<CloseReason, number>>
  /** Why the last attempt to connect failed, until one has worked again. */
  lastError: string | undefined
}

/** What a census asks the pool. */
interface Counted {
  readonly size: number
  readonly idle: number
  readonly waiting: number
}

/** Counts what happens to the connections of one pool. */
export class Census {
  #opened = 0
  #failed = 0
  #refused = 0
  #lastError: string | undefined = undefined
  readonly #closed: Partial<Record<CloseReason, number>> = {}
  readonly #pool: Counted
  readonly #opens: Counter
  readonly #closes: Counter
  readonly #failures: Counter
  readonly #refusals: Counter

  /**
   * @param attributes - of every measurement: which endpoint it is
   */
  constructor(pool: Counted, telemetry: Telemetry, attributes: Attributes) {
    this.#pool = pool
    const gauge = (name: string, description: string, unit: string, read: () => number): unknown =>
      telemetry.gauge(`banyan.pool.${name}`, { description, unit, attributes }, read)
    const counter = (name: string, description: string, unit: string): Counter =>
      telemetry.counter(`banyan.pool.${name}`, { description, unit, attributes })
    gauge('open', 'Open connections to an endpoint.', '{connection}', () => pool.size)
    gauge('idle', 'Open connections without a request.', '{connection}', () => pool.idle)
    gauge('waiting', 'Requests that wait for a connection.', '{request}', () => pool.waiting)
    this.#opens = counter('opened', 'Connections opened.', '{connection}')
    this.#closes = counter('closed', 'Connections closed, by reason.', '{connection}')
    this.#failures = counter('failed', 'Attempts to connect that failed.', '{connection}')
    this.#refusals = counter('refused', 'Requests refused as too many wait for a connection.', '{request}')
  }

  opened(): void {
    this.#opened++
    this.#lastError = undefined
    this.#opens.add(1)
  }

  failed(error: Error): void {
    this.#failed++
    this.#lastError = error.message
    this.#failures.add(1)
  }

  refused(): void {
    this.#refused++
    this.#refusals.add(1)
  }

  closed(reason: CloseReason): void {
    this.#closed[reason] = (this.#closed[reason] ?? 0) + 1
    this.#closes.add(1, { 'banyan.reason': reason })
  }

  state(): PoolState {
    const { size: open, idle, waiting } = this.#pool
    return {
      open,
      idle,
      waiting,
      opened: this.#opened,
      failed: this.#failed,
      refused: this.#refused,
      closed: { ...this.#closed },
      lastError: this.#lastError,
    }
  }
}
