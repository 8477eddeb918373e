import { backoffWait, type Growth } from '../../../core/backoff.js'
import { sleep } from '../../../core/clock.js'
import type { Caller, OpenStream } from './caller.js'
import { AheadError, CompactedError, EtcdError, Status } from './fault.js'
import { RANGE, WATCH } from './methods.js'
import type { WatchRequest, WatchResponse } from './messages.js'
import type { Watch, WatchKeeper } from './watch.js'
import type { Written } from './wire.js'
import type { Surroundings } from './settings.js'

type Order = Written<typeof WatchRequest>

const REOPEN: Growth = { base: 20, factor: 2, max: 2000 }

/** All watches of a client, on one stream; it is opened again when it breaks, and each goes on where it was. */
export class Watches implements WatchKeeper {
  readonly #caller: Caller
  readonly #runtime: Surroundings
  readonly #watches = new Set<Watch>()
  /** Asked for and not answered yet; answers come in this order. */
  #asked: Watch[] = []
  readonly #byId = new Map<number, Watch>()
  #stream: OpenStream<Order> | undefined
  #running = false
  #failures = 0
  /** What was refused with a token that may have been too old. */
  readonly #denied = new WeakSet<Watch>()

  constructor(caller: Caller, runtime: Surroundings) {
    this.#caller = caller
    this.#runtime = runtime
  }

  wanted(watch: Watch): void {
    if (this.#caller.closing.aborted) {
      watch.fail(closed())
      return
    }
    this.#watches.add(watch)
    if (this.#stream) this.#ask(watch)
    else if (!this.#running) void this.#run()
  }

  unwanted(watch: Watch): void {
    if (!this.#watches.delete(watch)) return
    for (const [id, known] of this.#byId) if (known === watch) this.#cancel(id)
    // Whoever has nothing to watch is not kept alive by it.
    if (this.#watches.size === 0) this.#stop?.()
  }

  /** All watches end with an error. */
  close(): void {
    for (const watch of [...this.#watches]) watch.fail(closed())
  }

  #stop: (() => void) | undefined

  async #run(): Promise<void> {
    this.#running = true
    const { clock, random } = this.#runtime
    while (this.#watches.size > 0) {
      try {
        await this.#session()
      } catch (error) {
        if (!(error instanceof EtcdError) || error.fault === 'refused')
          for (const watch of [...this.#watches]) watch.fail(error as EtcdError)
      }
      if (this.#watches.size > 0) {
        const wait = backoffWait(REOPEN, ++this.#failures, 'equal', random)
        await sleep(clock, wait, this.#caller.closing).catch(() => undefined)
      }
    }
    this.#running = false
  }

  /** One stream, from its opening to its end. */
  async #session(): Promise<void> {
    let stop!: () => void
    const over = new Promise<void>((resolve) => (stop = resolve))
    const stream = await this.#caller.open<Order, WatchResponse>(WATCH, {
      answer: (response) => this.#answer(response),
      end: stop,
    })
    this.#stream = stream
    this.#stop = stop
    if (this.#watches.size === 0) stop()
    for (const watch of this.#watches) this.#ask(watch)
    await over
    stream.cancel()
    this.#stream = undefined
    this.#stop = undefined
    this.#asked = []
    this.#byId.clear()
  }

  #ask(watch: Watch): void {
    this.#asked.push(watch)
    this.#stream?.send({ create: watch.begin() })
  }

  #cancel(watchId: number): void {
    this.#byId.delete(watchId)
    this.#stream?.send({ cancel: { watchId } })
  }

  #answer(response: WatchResponse): void {
    const { watchId } = response
    if (response.created) this.#created(this.#asked.shift(), response)
    else {
      const watch = this.#byId.get(watchId)
      // What was cancelled may still be told of, and what is told of all watches at once is not needed.
      if (!watch) return
      if (response.canceled) this.#ended(watch, response)
      else {
        this.#failures = 0
        watch.answer(response)
      }
    }
  }

  #created(watch: Watch | undefined, response: WatchResponse): void {
    const { watchId, canceled, header } = response
    if (canceled) {
      if (watch) this.#ended(watch, response)
      return
    }
    if (!watch || !this.#watches.has(watch)) {
      this.#cancel(watchId)
      return
    }
    const revision = header?.revision ?? 0
    if (!watch.created(revision)) {
      this.#cancel(watchId)
      this.#ask(watch)
      return
    }
    this.#byId.set(watchId, watch)
    this.#denied.delete(watch)
    if (revision < watch.known) void this.#compare(watch)
  }

  /** It goes on behind what the member has: the member may be late, or it waits for what will be something else. */
  async #compare(watch: Watch): Promise<void> {
    try {
      const { header } = await this.#caller.call(RANGE, { key: watch.key, countOnly: true })
      if (header!.revision < watch.known) watch.fail(new AheadError(watch.known, header!.revision))
    } catch {
      // It is compared again with the next stream, for which this one makes way.
      this.#stop?.()
    }
  }

  /** etcd does not go on with it. */
  #ended(watch: Watch, { watchId, compactRevision, cancelReason }: WatchResponse): void {
    this.#byId.delete(watchId)
    if (!this.#watches.has(watch)) return
    if (compactRevision > 0)
      watch.fail(new CompactedError('what would be watched next was compacted', compactRevision))
    else if (!cancelReason.includes('permission denied')) {
      // Whatever that was, it is not a matter of what is watched.
      this.#stop?.()
    } else if (this.#caller.signOut() && !this.#denied.has(watch)) {
      // The token of a stream is the one it was opened with.
      this.#denied.add(watch)
      this.#stop?.()
    } else
      watch.fail(new EtcdError('refused', `etcd refuses to watch: ${cancelReason}`, Status.permissionDenied))
  }
}

function closed(): EtcdError {
  return new EtcdError('unavailable', 'the client of etcd was closed')
}
