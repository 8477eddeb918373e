import type { EventLog } from '../log.js'
import type { FileAppend } from './commits.js'

/** Streams that are remembered. */
const STREAMS = 100_000

/**
 * The last revision of streams as it will be once everything on its way is appended. A stream is asked for when it is first
 * seen, and again if it was forgotten for others.
 */
export class ExpectedRevisions {
  readonly #log: EventLog
  /** The one used last stands last. */
  readonly #revisions = new Map<string, number | 'none'>()
  /** Whether streams that are not in the map have nothing: they need not be asked for. */
  #restEmpty: boolean

  /** @param empty - whether the log has nothing yet */
  constructor(log: EventLog, empty: boolean) {
    this.#log = log
    this.#restEmpty = empty
  }

  async of(stream: string): Promise<number | 'none'> {
    let revision = this.#revisions.get(stream)
    if (revision === undefined) {
      revision = this.#restEmpty ? 'none' : await this.#log.revision(stream)
      this.#remember(stream, revision)
    }
    return revision
  }

  /** A commit is on its way, or was appended. */
  advance({ streams }: FileAppend): void {
    for (const { stream, events, firstRevision } of streams) {
      if (firstRevision === undefined) continue
      const last = firstRevision + events.length - 1
      const known = this.#revisions.get(stream) ?? 'none'
      this.#revisions.delete(stream)
      this.#remember(stream, known === 'none' ? last : Math.max(known, last))
    }
  }

  #remember(stream: string, revision: number | 'none'): void {
    this.#revisions.set(stream, revision)
    if (this.#revisions.size <= STREAMS) return
    const [oldest] = this.#revisions.keys()
    this.#revisions.delete(oldest!)
    this.#restEmpty = false
  }
}
