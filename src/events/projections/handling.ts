import type { Clock } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import { eventError } from '../errors.js'
import type { EventLog, RecordedEvent } from '../log.js'
import { describeEvent } from './pending.js'
import { tableOf, type AnyProjection, type ProjectionContext } from './projection.js'
import { wholeName } from './parts.js'
import { isPromise, type Maybe } from './store.js'

/** How often it is looked at the clock, in events: handlers that answer at once take microseconds. */
const LOOK_EVERY = 16

/** A handler did not do what it should. */
export class HandlerError extends Error {
  readonly event: RecordedEvent

  constructor(event: RecordedEvent, cause: unknown) {
    super(`${describeEvent(event)}: ${reasonOf(cause)}`, { cause })
    this.event = event
  }
}

/** Hands events to the handlers of a projection, and sees to it that each ends in time. */
export class Handling<Db> {
  readonly #projection: AnyProjection<Db>
  readonly #log: Pick<EventLog, 'newestVersion'>
  readonly #timeout: number
  readonly #clock: Clock
  readonly #closing: AbortSignal

  /** @param timeout - of each call, in ms */
  constructor(
    projection: AnyProjection<Db>,
    log: Pick<EventLog, 'newestVersion'>,
    timeout: number,
    clock: Clock,
    closing: AbortSignal,
  ) {
    this.#projection = projection
    this.#log = log
    this.#timeout = timeout
    this.#clock = clock
    this.#closing = closing
  }

  /**
   * Handles events from the first on.
   *
   * @param until - no further event is begun at or after this time
   * @returns how many were handled; at least one
   * @throws {@link HandlerError}
   */
  async handle(db: Db, events: readonly RecordedEvent[], until: number): Promise<number> {
    const context = new Context(db, this.#projection)
    const { on, apply } = this.#projection
    if (apply) {
      for (const event of events) this.#check(event)
      await this.#call(events[0]!, context, () => apply(events, context))
      return events.length
    }
    let handled = 0
    for (const event of events) {
      this.#check(event)
      const handler = on![event.type] as ((event: RecordedEvent, context: unknown) => unknown) | undefined
      const answer = handler && this.#call(event, context, () => handler(event, context))
      if (isPromise(answer)) await answer
      handled++
      if ((isPromise(answer) || handled % LOOK_EVERY === 0) && this.#clock.now() >= until) break
    }
    return handled
  }

  /** Runs one side effect. */
  async effect(event: RecordedEvent): Promise<void> {
    const handler = this.#projection.effects![event.type] as (
      event: RecordedEvent,
      context: unknown,
    ) => unknown
    const context = new Context(undefined, this.#projection)
    this.#check(event)
    await this.#call(event, context, () => handler(event, context))
  }

  /** Refuses what the handlers would take for something else. */
  #check(event: RecordedEvent): void {
    if (event.fault) throw new HandlerError(event, event.fault)
    const newest = this.#projection.schemaVersions?.[event.type] ?? this.#log.newestVersion?.(event.type) ?? 1
    if (event.schemaVersion <= newest) return
    const { type, schemaVersion } = event
    const { name } = this.#projection
    const cause = eventError(
      'BANYAN_EVENT_NEWER',
      `it has schemaVersion ${schemaVersion}, and ${name} takes ${type} up to ${newest}. ` +
        `Say schemaVersions: { ${type}: ${schemaVersion} } when its handler takes it, or update this program`,
    )
    throw new HandlerError(event, cause)
  }

  #call(event: RecordedEvent, context: Context<unknown>, work: () => unknown): Maybe<unknown> {
    try {
      const answer = work()
      return isPromise(answer) ? this.#inTime(event, context, answer) : undefined
    } catch (error) {
      throw new HandlerError(event, error)
    }
  }

  #inTime(event: RecordedEvent, context: Context<unknown>, answer: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        timer.cancel()
        this.#closing.removeEventListener('abort', onClose)
      }
      const fail = (error: unknown): void => {
        end()
        reject(new HandlerError(event, error))
      }
      const timer = this.#clock.schedule(this.#clock.now() + this.#timeout, () => {
        const late = new Error(`the handler has not ended within ${formatDuration(this.#timeout)}`)
        context.abort(late)
        fail(late)
      })
      const onClose = (): void => {
        const { reason } = this.#closing as { reason: unknown }
        context.abort(reason)
        fail(reason)
      }
      answer.then(() => {
        end()
        resolve()
      }, fail)
      if (this.#closing.aborted) onClose()
      else this.#closing.addEventListener('abort', onClose, { once: true })
    })
  }
}

/** What handlers get; most never ask for the signal, which costs more than all the rest. */
class Context<Db> implements ProjectionContext<Db> {
  readonly db: Db
  readonly table: (name: string) => string
  #controller: AbortController | undefined

  constructor(db: Db, projection: AnyProjection<never>) {
    this.db = db
    this.table = tablesOf(projection)
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#controller ??= new AbortController()
    this.#controller.abort(reason)
  }
}

/** Names of tables of a version, made once. */
export function tablesOf({ name, version }: { name: string; version: number }): (table: string) => string {
  const known = new Map<string, string>()
  return (table) => {
    let full = known.get(table)
    if (full === undefined) known.set(table, (full = tableOf(wholeName(name), version, table)))
    return full
  }
}

/** What was thrown, in words. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
