import { sleep } from '../../core/clock.js'
import type { EncodedEvent } from '../driver.js'
import type { RecordedEvent } from '../log.js'
import { routeOf } from '../pubsub/engine/route.js'
import type { Handler } from '../pubsub/message.js'
import type { Settings } from '../pubsub/options.js'
import { Handling } from './handling.js'

/** Told what was not handled. Never throws. */
export type Failed = (error: unknown, event: RecordedEvent, settings: Settings) => void

/** What waits, and what its order goes by. */
export interface Waiting {
  readonly event: RecordedEvent
  readonly key: string | undefined
}

/** One subscription of a bus: what waits for it, in lanes. */
export class Listener {
  readonly #settings: Settings
  readonly #handler: Handler
  readonly #concurrency: number
  readonly #failed: Failed
  /** What waits behind the event of its key that is being handled. */
  readonly #lanes = new Map<string, RecordedEvent[]>()
  readonly #active = new Set<Handling>()
  #ready: Waiting[] = []
  #waiting = 0
  #idle: (() => void)[] = []

  constructor(settings: Settings, handler: Handler, concurrency: number, failed: Failed) {
    this.#settings = settings
    this.#handler = handler
    this.#concurrency = concurrency
    this.#failed = failed
  }

  /** How many events wait or are being handled. */
  get waiting(): number {
    return this.#waiting
  }

  get name(): string {
    return this.#settings.name
  }

  get clock(): Settings['runtime']['clock'] {
    return this.#settings.runtime.clock
  }

  get deadline(): number {
    return this.#settings.deadline
  }

  /** Whether it may be for this subscription, as far as can be told without looking inside. */
  mayWant(topic: string, { type, tags }: EncodedEvent): boolean {
    const { topic: own, selector } = this.#settings
    if (own !== '*' && own !== topic) return false
    if (selector.types && !selector.types.includes(type)) return false
    return selector.tags?.every((tag) => tags.includes(tag)) ?? true
  }

  /** What is to wait of an event that it may want. */
  routed(event: RecordedEvent): Waiting | undefined {
    const route = routeOf(event, this.#settings)
    if (!route) return undefined
    if (route.fault === undefined) return { event, key: route.key }
    this.#failed(new Error(route.fault), event, this.#settings)
    return undefined
  }

  offer({ event, key }: Waiting): void {
    this.#waiting++
    const lane = key === undefined ? undefined : this.#lanes.get(key)
    if (lane) {
      lane.push(event)
      return
    }
    if (key !== undefined) this.#lanes.set(key, [])
    this.#ready.push({ event, key })
    this.#next()
  }

  /** Resolves when nothing waits. */
  idle(): Promise<void> {
    return this.#waiting === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Waits for what is there, not longer than its `drain`; the rest is given up. */
  async close(): Promise<void> {
    const { runtime, drain } = this.#settings
    const waited = new AbortController()
    const isDrained = await Promise.race([
      this.idle().then(() => true),
      sleep(runtime.clock, drain, waited.signal).then(
        () => false,
        () => true,
      ),
    ])
    waited.abort()
    if (!isDrained) this.#giveUp()
  }

  /** One was handled, or never will be; its lane goes on. */
  ended(handling: Handling, error: unknown): void {
    const { event, key } = handling
    this.#active.delete(handling)
    this.#waiting--
    if (error !== undefined) this.#failed(error, event, this.#settings)
    const behind = key === undefined ? undefined : this.#lanes.get(key)?.shift()
    if (behind) this.#ready.push({ event: behind, key })
    else if (key !== undefined) this.#lanes.delete(key)
    if (this.#waiting === 0) for (const resolve of this.#idle.splice(0)) resolve()
    this.#next()
  }

  #next(): void {
    while (this.#active.size < this.#concurrency && this.#ready.length > 0) {
      const { event, key } = this.#ready.shift()!
      const handling = new Handling(this, event, key)
      this.#active.add(handling)
      void this.#handle(handling)
    }
  }

  async #handle(handling: Handling): Promise<void> {
    try {
      // Whoever publishes goes on first.
      await Promise.resolve()
      await this.#handler(handling.event, handling)
      handling.end('it was handled')
    } catch (error) {
      handling.end('handling it has failed', error ?? new Error('it has failed'))
    }
  }

  #giveUp(): void {
    const left = this.#waiting - this.#active.size
    this.#ready = []
    this.#lanes.clear()
    this.#waiting = this.#active.size
    if (left > 0)
      this.#settings.runtime.telemetry.log(
        'error',
        `event bus: ${this.name} was closed, and ${left} events that waited for it were not handled`,
      )
    for (const handling of this.#active) {
      const error = new Error(`it was not handled within ${this.#settings.drain} ms of closing`)
      handling.end('the event bus was closed', error)
    }
  }
}
