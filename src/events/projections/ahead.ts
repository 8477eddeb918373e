import type { RecordedEvent } from '../log.js'
import type { Checkpoint, CheckpointDetails } from './checkpoint.js'

/**
 * Inline projections handle events before these have a position. Their ids stand in the checkpoint until its position has
 * come to them, so that whoever passes them then knows that they are in the read model.
 */
export class Ahead {
  readonly #ids: Set<string>

  constructor({ details }: Checkpoint) {
    this.#ids = new Set(details.ahead)
  }

  get size(): number {
    return this.#ids.size
  }

  has({ id }: Pick<RecordedEvent, 'id'>): boolean {
    return this.#ids.has(id)
  }

  /** Those that are still to be handled. */
  without<Event extends RecordedEvent>(events: readonly Event[]): readonly Event[] {
    return this.#ids.size === 0 ? events : events.filter((event) => !this.has(event))
  }

  /** Details of a checkpoint that has passed some events, and is ahead with others. */
  moved(
    { ahead, ...rest }: CheckpointDetails,
    passed: readonly { readonly id: string }[],
    added: readonly { readonly id: string }[] = [],
  ): CheckpointDetails {
    if (!ahead && added.length === 0) return rest
    const ids = new Set(this.#ids)
    for (const { id } of passed) ids.delete(id)
    for (const { id } of added) ids.add(id)
    return ids.size === 0 ? rest : { ...rest, ahead: [...ids] }
  }
}
