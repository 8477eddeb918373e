import type { UpstreamChannel } from './exchange.js'

/** Somebody who waits for a way to an endpoint. */
interface Waiter {
  resolve: (channel: UpstreamChannel) => void
  reject: (error: unknown) => void
}

/** Those who wait for a way to an endpoint, served in the order they came. */
export class WaitingLine {
  readonly #waiters = new Set<Waiter>()

  get size(): number {
    return this.#waiters.size
  }

  /**
   * Joins the line.
   *
   * @param onCancel - registers how to leave it
   * @param gaveUp - what the promise rejects with then
   */
  join(onCancel: (cancel: () => void) => void, gaveUp: () => Error): Promise<UpstreamChannel> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject }
      this.#waiters.add(waiter)
      onCancel(() => {
        if (this.#waiters.delete(waiter)) reject(gaveUp())
      })
    })
  }

  /** Serves the first one. Returns false if nobody waits. */
  serve(channel: UpstreamChannel): boolean {
    const waiter = this.#first()
    waiter?.resolve(channel)
    return waiter !== undefined
  }

  /** Sends the first ones away, `count` of them at most. */
  sendAway(error: unknown, count = Infinity): void {
    for (let gone = 0; gone < count; gone++) {
      const waiter = this.#first()
      if (!waiter) return
      waiter.reject(error)
    }
  }

  #first(): Waiter | undefined {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter)
      return waiter
    }
    return undefined
  }
}
