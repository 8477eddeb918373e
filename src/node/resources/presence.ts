import { backoffWait, type Growth } from '../../core/backoff.js'
import { sleep } from '../../core/clock.js'
import { raceWithTimer } from '../../core/race-with-timer.js'
import type { Coordinator, Entry, Lease, Session } from '../../coordination/coordinator.js'
import { hasCode, isPassing } from '../../coordination/errors.js'
import { thisHolder } from '../../coordination/holder.js'
import { KEYSPACE, segment } from '../../coordination/keyspace.js'
import { onAbort } from '../../coordination/on-abort.js'
import { openView, type View } from '../../coordination/view/view.js'

/** Who is there, and where. */
export interface PresenceOptions {
  readonly namespace: string
  /** The name of the resource of this node. */
  readonly node: string
  /** Told of each other process that has the name, and lives; this one has it as soon as that is gone. */
  onTaken(holder: string): void
}

/** After how many times its ttl a key whose process is dead is surely gone: it may expire late. */
const LATE = 1.5
/** So long the end waits for the key to go, in ms; what cannot be told then, expires. */
const PATIENCE_MS = 1000
/** Waits between tries while the coordinator is away. */
const RETRY: Growth = { base: 200, factor: 2, max: 10_000 }

/**
 * Which nodes of a namespace have a process. Each has a key of its name, under the lease that its process shares: the key is there
 * until the process ends it, or has not renewed the lease for its ttl. Of two processes of one name, one has it.
 */
export class Presence implements AsyncDisposable {
  readonly #coordinator: Coordinator
  readonly #session: Session
  readonly #prefix: string
  readonly #key: string
  readonly #options: PresenceOptions
  /** No other process has it. */
  readonly #id: string
  readonly #view: View
  readonly #closing = new AbortController()
  readonly #keeping: Promise<void>
  /** Of the own key as it was last seen; undefined if it is not there, or another's. */
  #revision: number | undefined
  #isTaken = false
  #believedFrom = -Infinity

  constructor(coordinator: Coordinator, options: PresenceOptions) {
    const { random } = coordinator.runtime
    this.#coordinator = coordinator
    this.#session = coordinator.session()
    this.#prefix = `${KEYSPACE.nodes}${segment(options.namespace)}/`
    this.#key = this.#prefix + segment(options.node)
    this.#options = options
    this.#id = `${thisHolder()}-${Math.floor(random.next() * 2 ** 52).toString(36)}`
    this.#view = openView(coordinator, this.#prefix)
    this.#view.on('fresh', () => this.#doubt())
    this.#keeping = this.#keep()
  }

  /** Whether another process has had the name of this node for longer than the key of a dead one would be there. */
  get isTaken(): boolean {
    return this.#isTaken
  }

  /** Whether a node has a process. As long as that cannot be known, every node has. */
  has(node: string): boolean {
    return (
      node === this.#options.node ||
      this.#isUnsure ||
      this.#view.get(this.#prefix + segment(node)) !== undefined
    )
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#view.close()
    await raceWithTimer(this.#clock, this.#leave(), PATIENCE_MS).catch(() => undefined)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #clock() {
    return this.#coordinator.runtime.clock
  }

  get #isUnsure(): boolean {
    const { revision, stale } = this.#view
    return revision === undefined || stale !== undefined || this.#clock.now() < this.#believedFrom
  }

  /** After an outage the leases of nodes that are well may have ended too: they have the time of one to come back. */
  #doubt(): void {
    this.#believedFrom = this.#clock.now() + this.#session.ttl
  }

  /** Has the key until it ends. */
  async #keep(): Promise<void> {
    const { signal } = this.#closing
    const { random, telemetry } = this.#coordinator.runtime
    for (let failures = 0; !signal.aborted;) {
      try {
        await this.#hold(await this.#session.lease({ signal }))
        failures = 0
      } catch (error) {
        if (this.#closing.signal.aborted || hasCode(error, 'BANYAN_COORDINATOR_CLOSED')) return
        failures++
        if (!isPassing(error)) telemetry.log('warn', `${this.#key} is set later: ${String(error)}`)
        const wait = backoffWait(RETRY, failures, 'equal', random)
        await sleep(this.#clock, wait, signal).catch(() => undefined)
      }
    }
  }

  async #leave(): Promise<void> {
    await this.#keeping
    const expected = this.#revision
    if (expected !== undefined) await this.#coordinator.delete(this.#key, { expected })
  }

  /** Sets the key if it can, and resolves when it is time to try again. What came of a write without an answer, the next one sees. */
  async #hold(lease: Lease): Promise<void> {
    const expected = this.#revision ?? 'absent'
    const result = await this.#coordinator.put(this.#key, this.#id, { expected, lease })
    if (result.ok) {
      this.#revision = result.revision
      this.#isTaken = false
      await this.#changed(result.revision, lease.signal)
      return
    }
    const { actual } = result
    const isOther = actual !== undefined && actual.value !== this.#id
    this.#revision = isOther ? undefined : actual?.revision
    if (isOther) await this.#standBy(actual)
  }

  /** Another process has the key: it lives, or is a former life of this one whose lease has not ended yet. */
  async #standBy({ value, revision }: Entry): Promise<void> {
    const timer = this.#clock.schedule(this.#clock.now() + LATE * this.#session.ttl, () => {
      this.#isTaken = true
      this.#options.onTaken(value)
    })
    await this.#changed(revision)
    timer.cancel()
  }

  /** Resolves when the key is not as it was at a revision any more, or a lease has ended, or this. */
  #changed(revision: number, ending?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const forget: (() => void)[] = []
      const done = (): void => {
        for (const each of forget.splice(0)) each()
        resolve()
      }
      const look = (): void => {
        const view = this.#view
        // What is seen may be older than what was answered.
        if ((view.revision ?? 0) > revision && view.get(this.#key)?.revision !== revision) done()
      }
      forget.push(this.#view.on('change', look))
      // Everything in the process shares the lease.
      for (const signal of [this.#closing.signal, ending]) if (signal) forget.push(onAbort(signal, done))
      look()
    })
  }
}
