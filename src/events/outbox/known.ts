import { isDeepStrictEqual } from 'node:util'
import { asRead } from '../as-read.js'
import type { EventLog, NewEvent, RecordedEvent } from '../log.js'

/** What a relay would append, and where. */
export interface Placed {
  readonly stream: string
  readonly event: NewEvent & { readonly id: string }
}

/**
 * What a log has under the ids of messages that come to it again.
 *
 * `same`: it is the message. `other`: it has something else under that id. `none`: it has nothing there, or no longer.
 */
export type Known = 'same' | 'other' | 'none'

/** Looks messages up in the streams they go to; a stream is read from its end, once. */
export class KnownMessages {
  readonly #log: EventLog
  readonly #ids: ReadonlyMap<string, ReadonlySet<string>>
  readonly #streams = new Map<string, ReadonlyMap<string, RecordedEvent>>()
  /** Where those are whose revision the log has told. */
  readonly #revisions = new Map<string, number>()

  /** @param messages - all that may be asked for */
  constructor(log: EventLog, messages: readonly Placed[]) {
    this.#log = log
    const ids = new Map<string, Set<string>>()
    for (const { stream, event } of messages) {
      const same = ids.get(stream)
      if (same) same.add(event.id)
      else ids.set(stream, new Set([event.id]))
    }
    this.#ids = ids
  }

  /** The log has told where the message of that id is. */
  locate({ stream, event }: Placed, revision: number): void {
    this.#revisions.set(`${stream}\0${event.id}`, revision)
  }

  async compare(message: Placed): Promise<Known> {
    const found = await this.#find(message)
    if (!found) return 'none'
    return (await this.#isSame(message, found)) ? 'same' : 'other'
  }

  async #find({ stream, event }: Placed): Promise<RecordedEvent | undefined> {
    const revision = this.#revisions.get(`${stream}\0${event.id}`)
    if (revision === undefined) return (await this.#read(stream)).get(event.id)
    const only = { fromRevision: revision, toRevision: revision, faults: 'give' } as const
    for await (const found of this.#log.read({ stream }, only)) return found
    return undefined
  }

  async #read(stream: string): Promise<ReadonlyMap<string, RecordedEvent>> {
    const known = this.#streams.get(stream)
    if (known) return known
    const wanted = new Set(this.#ids.get(stream))
    const found = new Map<string, RecordedEvent>()
    this.#streams.set(stream, found)
    for await (const event of this.#log.read({ stream }, { backwards: true, faults: 'give' })) {
      if (wanted.delete(event.id)) found.set(event.id, event)
      if (wanted.size === 0) break
    }
    return found
  }

  /** Metadata and times are of the try: who does again what was rolled back or not heard of has others. */
  async #isSame({ stream, event }: Placed, found: RecordedEvent): Promise<boolean> {
    // Nobody can tell what it says.
    if (found.fault) return true
    const shown = await this.#shown(stream, event)
    if (!shown) return true
    const { type, data, tags = [] } = shown
    return (
      found.type === type &&
      isDeepStrictEqual(found.data, data) &&
      isDeepStrictEqual([...found.tags], [...tags])
    )
  }

  /** As it would be read; undefined if only the log could tell, and does not. */
  async #shown(
    stream: string,
    event: NewEvent,
  ): Promise<Pick<NewEvent, 'type' | 'data' | 'tags'> | undefined> {
    if (this.#log.asRead) return (await this.#log.asRead({ stream, events: [event] }))[0]
    return this.#log.transformed ? undefined : { ...event, data: asRead(event.data, event.type) }
  }
}
