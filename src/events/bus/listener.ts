import type { RecordedEvent } from '../log.js'
import { categoryOf } from '../names.js'
import type { Interest } from '../pubsub/channel.js'
import type { Handler, HandlerContext } from '../pubsub/message.js'

/** How a listener handles. */
interface Handling {
  readonly concurrency: number
  readonly failed: (error: unknown, event: RecordedEvent) => void
}

/** One subscription of a bus: what waits for it, in lanes. */
export class Listener {
  readonly #interest: Interest
  readonly #handler: Handler
  readonly #handling: Handling
  /** What waits behind the event of its key that is being handled. */
  readonly #lanes = new Map<string, RecordedEvent[]>()
  readonly #ready: { event: RecordedEvent; key: string | undefined }[] = []
  #active = 0
  #waiting = 0
  #idle: (() => void)[] = []

  constructor(interest: Interest, handler: Handler, handling: Handling) {
    this.#interest = interest
    this.#handler = handler
    this.#handling = handling
  }

  /** How many events wait or are being handled. */
  get waiting(): number {
    return this.#waiting
  }

  get name(): string {
    return this.#interest.name
  }

  wants(topic: string, event: RecordedEvent): boolean {
    const { types, tags = [], where } = this.#interest
    if (this.#interest.topic !== '*' && this.#interest.topic !== topic) return false
    if (types && !types.includes(event.type)) return false
    if (!tags.every((tag) => event.tags.includes(tag))) return false
    try {
      return where?.(event) ?? true
    } catch (error) {
      this.#handling.failed(error, event)
      return false
    }
  }

  offer(event: RecordedEvent): void {
    let key
    try {
      key = this.#keyOf(event)
    } catch (error) {
      this.#handling.failed(error, event)
      return
    }
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

  #next(): void {
    while (this.#active < this.#handling.concurrency && this.#ready.length > 0) {
      this.#active++
      const { event, key } = this.#ready.shift()!
      void this.#handle(event, key)
    }
  }

  async #handle(event: RecordedEvent, key: string | undefined): Promise<void> {
    const context: HandlerContext = {
      subscription: this.#interest.name,
      attempt: 1,
      key,
      signal: NEVER.signal,
      extend: () => undefined,
    }
    try {
      // Whoever publishes goes on first.
      await Promise.resolve()
      await this.#handler(event, context)
    } catch (error) {
      this.#handling.failed(error, event)
    }
    this.#active--
    this.#waiting--
    const behind = key === undefined ? undefined : this.#lanes.get(key)?.shift()
    if (behind) this.#ready.push({ event: behind, key })
    else if (key !== undefined) this.#lanes.delete(key)
    if (this.#waiting === 0) for (const resolve of this.#idle.splice(0)) resolve()
    this.#next()
  }

  #keyOf(event: RecordedEvent): string | undefined {
    if (this.#interest.key) return this.#interest.key(event)
    return event.stream === categoryOf(event.stream) ? undefined : event.stream
  }
}

const NEVER = new AbortController()
