import type { Clock } from '../../core/clock.js'
import type { Position, RecordedEvent } from '../log.js'
import type { AnyProjection } from './projection.js'
import { namesOfRows } from './parts.js'
import type { ParkedRow, ReadModelStore, StoreTransaction } from './store.js'

/** How many rows are read at once. */
const PAGE = 1000

/** Which keys of a version wait for somebody to look at them, and what is set aside for that. */
export class Parking<Db> {
  readonly #projection: AnyProjection<Db>
  readonly #clock: Clock
  #keys = new Set<string>()

  constructor(projection: AnyProjection<Db>, clock: Clock) {
    this.#projection = projection
    this.#clock = clock
  }

  /** Reads which keys are parked. Only who owns the version adds some, and who takes some away moves its checkpoint. */
  async load(store: ReadModelStore<Db>): Promise<void> {
    const { name, version } = this.#projection
    const keys = new Set<string>()
    for await (const { key } of parkedRows(store, name, version)) keys.add(key)
    this.#keys = keys
  }

  /** Whether an event has to stay behind another one that is parked. */
  isBehind(event: RecordedEvent): boolean {
    return this.#keys.size > 0 && this.#keys.has(this.#keyOf(event))
  }

  async park(
    transaction: StoreTransaction<Db>,
    event: RecordedEvent,
    attempts: number,
    reason: string,
  ): Promise<void> {
    const { name, version } = this.#projection
    const { position, stream, type } = event
    const key = this.#keyOf(event)
    await transaction.park({
      name,
      version,
      position,
      key,
      stream,
      type,
      attempts,
      reason,
      time: this.#clock.wall(),
    })
  }

  /** An event is parked: the transaction that did it has ended. */
  parked(event: RecordedEvent): void {
    this.#keys.add(this.#keyOf(event))
  }

  #keyOf(event: RecordedEvent): string {
    return this.#projection.key?.(event) ?? event.stream
  }
}

/** What is parked of a version, by position: all of it, or what is behind one. */
export async function* parkedRows(
  store: ReadModelStore<unknown>,
  name: string,
  version: number,
  { after: first }: { after?: Position } = {},
): AsyncGenerator<ParkedRow, void, undefined> {
  let after = first
  for (;;) {
    const query = { limit: PAGE, ...(after !== undefined && { after }) }
    const rows = await store.read((view) => view.parked(name, version, query))
    yield* rows
    if (rows.length < PAGE) return
    after = rows.at(-1)!.position
  }
}

/** The same of a version with buckets, too: one bucket after the other. */
export async function* parkedOf(
  store: ReadModelStore<unknown>,
  name: string,
  version: number,
  options?: { after?: Position },
): AsyncGenerator<ParkedRow, void, undefined> {
  for (const each of await namesOfRows(store, name, version)) yield* parkedRows(store, each, version, options)
}

/** How many are parked of a version. */
export async function countParked(
  store: ReadModelStore<unknown>,
  name: string,
  version: number,
): Promise<number> {
  let count = 0
  for await (const { position } of parkedRows(store, name, version)) if (position) count++
  return count
}
