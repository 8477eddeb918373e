import { Body, type BodySource } from '../../../http/body.js'

/** A body from an iteration: the next part is asked for when the client takes it. */
export class IterableBody implements BodySource {
  readonly body = new Body(undefined, this)
  readonly #parts: AsyncIterator<Buffer>
  #paused = false
  #pulling = false
  #over = false

  constructor(parts: AsyncIterable<Buffer>) {
    this.#parts = parts[Symbol.asyncIterator]()
    void this.#pull()
  }

  pause(): void {
    this.#paused = true
  }

  resume(): void {
    this.#paused = false
    void this.#pull()
  }

  /** Stops the iteration: nobody takes the rest. */
  cancel(reason: Error): void {
    if (this.#over) return
    this.#over = true
    // A generator that waits ends when what it waits for does; what it says then concerns nobody.
    this.#parts.return?.().catch(() => undefined)
    this.body.fail(reason)
  }

  async #pull(): Promise<void> {
    if (this.#pulling) return
    this.#pulling = true
    try {
      while (!this.#paused && !this.#over) {
        const part = await this.#parts.next()
        // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- changes while it waits
        if (this.#over) break
        if (part.done) {
          this.#over = true
          this.body.finish(undefined)
        } else {
          this.body.push(part.value)
        }
      }
    } catch (error) {
      this.cancel(error as Error)
    }
    this.#pulling = false
  }
}
