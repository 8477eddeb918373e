import type { Page, Query } from '../../../events/driver.js'
import { parsePosition } from '../../../events/position.js'
import { Thread } from '../thread.js'
import type { PageReader } from './thread.js'
import { unpackPage } from './wire.js'

/** A page of so many events is worth a message to a thread. */
const PAGE_EVENTS = 256
/** And the thread is worth it for so many. Whoever has only fallen behind a little catches up sooner without. */
const FAR_EVENTS = 5000

/**
 * Pages of a long way through the log, read in a thread of their own: whoever rebuilds a view from the start keeps neither
 * the event loop nor appends waiting. The thread is started when it is needed for the first time.
 */
export class FarReader {
  readonly #file: string
  #starting: Promise<void> | undefined
  #thread: Thread<PageReader> | undefined
  #closed = false

  constructor(file: string) {
    this.#file = file
  }

  /** Whether a query may be of this kind. */
  takes({ limit, stream, backwards }: Query): boolean {
    return limit >= PAGE_EVENTS && stream === undefined && !backwards && !this.#closed
  }

  /**
   * @param head - where the log ends
   * @returns a page; undefined if it has to be read without the thread: as it is short, or the thread cannot read it. What
   *   is wrong then is wrong there too
   */
  async read(query: Query, head: number): Promise<Page | undefined> {
    const end = query.upTo === undefined ? head : Math.min(parsePosition(query.upTo), head)
    if (end - parsePosition(query.after) < FAR_EVENTS) return undefined
    const thread = this.#thread
    if (!thread || thread.ended) {
      this.#starting ??= this.#start()
      return undefined
    }
    try {
      return unpackPage(await thread.call('page', query))
    } catch {
      return undefined
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#starting
    await this.#thread?.close()
  }

  async #start(): Promise<void> {
    try {
      this.#thread = await Thread.start<PageReader>('reader/thread.js', this.#file)
    } catch {
      // It is tried again with the next page.
    } finally {
      this.#starting = undefined
    }
  }
}
