import type { EventTransform } from '../../events/index.js'
import type { NewEvent, RecordedEvent } from '../../events/log.js'
import type { EventsSpec } from '../spec.js'

/** The types of event that a node takes; may change while it runs. */
export class KnownTypes implements EventTransform {
  #types: EventTransform | undefined

  private constructor(types: EventTransform | undefined) {
    this.#types = types
  }

  /** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if the schemas cannot be read */
  static async load(spec: EventsSpec): Promise<KnownTypes> {
    return new KnownTypes(await loadTypes(spec))
  }

  /**
   * Reads the schemas again: also those that are at the same place as before.
   *
   * @returns puts them into force
   * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` if they cannot be read; nothing has changed then
   */
  async prepare(spec: EventsSpec): Promise<() => void> {
    const types = await loadTypes(spec)
    return () => {
      this.#types = types
    }
  }

  write(event: NewEvent, stream: string): NewEvent | Promise<NewEvent> {
    return this.#types?.write?.(event, stream) ?? event
  }

  read(event: RecordedEvent): RecordedEvent | Promise<RecordedEvent> {
    return this.#types?.read?.(event) ?? event
  }
}

/**
 * The registry that a configuration asks for. Its library is loaded only if it does.
 *
 * @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS`
 */
export async function loadTypes({ types }: EventsSpec): Promise<EventTransform | undefined> {
  if (types === undefined) return undefined
  const { directory, ...options } = typeof types === 'string' ? { directory: types } : types
  const { loadEventTypes } = await import('../../events/types/index.js')
  return loadEventTypes(directory, options)
}
