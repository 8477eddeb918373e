import type { EncodedCommit } from '../driver.js'
import { eventError } from '../errors.js'
import type { Position } from '../log.js'

/** A commit that was published. */
interface Known {
  readonly digest: number
  readonly position: Position
}

/**
 * The ids of what was published last, so that the same again is known, as a log knows it for ever. Ids that nobody has
 * given are not kept: they never come again.
 */
export class RecentIds {
  readonly #most: number
  /** By the id of a commit or of an event, which share their names; without a value those of events. */
  readonly #known = new Map<string, Known | undefined>()

  /** @param most - how many are kept */
  constructor(most: number) {
    this.#most = most
  }

  /**
   * @returns where it was published before, if it was
   * @throws `BANYAN_COMMIT_OVERLAP`: an id of it is taken by something else
   */
  find({ id, digest, streams }: EncodedCommit): Position | undefined {
    const known = this.#known.get(id)
    if (known?.digest === digest) return known.position
    const taken = this.#known.has(id) ? id : firstTaken(streams, this.#known)
    if (taken === undefined) return undefined
    throw eventError(
      'BANYAN_COMMIT_OVERLAP',
      `the id ${taken} was published with other events; nothing was published`,
    )
  }

  note({ id, digest, streams }: EncodedCommit, position: Position): void {
    for (const { events } of streams)
      for (const event of events) if (event.id !== undefined) this.#keep(event.id, undefined)
    // A commit is called like its first event if all of its events have ids, and by chance otherwise.
    if (streams[0]?.events[0]?.id === id) this.#keep(id, { digest, position })
  }

  #keep(id: string, known: Known | undefined): void {
    this.#known.set(id, known)
    if (this.#known.size > this.#most) this.#known.delete(this.#known.keys().next().value!)
  }
}

function firstTaken(
  streams: EncodedCommit['streams'],
  known: ReadonlyMap<string, unknown>,
): string | undefined {
  for (const { events } of streams)
    for (const { id } of events) if (id !== undefined && known.has(id)) return id
  return undefined
}
