import type { Runtime } from '../../core/runtime.js'
import type { EventLog } from '../../events/log.js'
import type { PulledSubscription } from '../../events/http/subscriptions.js'
import type { NodeSpec } from '../spec.js'
import { HostedSubscription } from './hosted-subscription.js'
import { destinationOf, type ServiceRequests } from './push-sender.js'

/** A change that is ready to come into force, or to be forgotten. */
export interface PreparedSubscriptions {
  commit(): void
  discard(): Promise<void>
}

/** What of a configuration is about subscriptions. */
type Spec = Pick<NodeSpec, 'subscriptions' | 'services'>

/** The subscriptions that a configuration asks for. Those that stay the same go on when it changes. */
export class HostedSubscriptions {
  readonly #log: EventLog
  readonly #runtime: Runtime
  readonly #requests: ServiceRequests
  /** Those that are being closed while the node goes on. */
  readonly #leaving = new Set<Promise<void>>()
  #now: ReadonlyMap<string, HostedSubscription> = new Map()
  #services: NodeSpec['services'] = {}

  constructor(log: EventLog, runtime: Runtime, requests: ServiceRequests) {
    this.#log = log
    this.#runtime = runtime
    this.#requests = requests
  }

  /** A subscription whose messages clients pull. */
  find(name: string): PulledSubscription | undefined {
    return this.#now.get(name)?.pulled
  }

  /**
   * Takes part in what a configuration asks for besides what there is.
   *
   * @throws {@link BanyanError} that says which subscription cannot be had; nothing has changed then
   */
  async prepare({ subscriptions = {}, services }: Spec): Promise<PreparedSubscriptions> {
    const context = {
      log: this.#log,
      runtime: this.#runtime,
      destinationOf: (spec: Parameters<typeof destinationOf>[0]) =>
        destinationOf(spec, () => this.#services, this.#requests),
    }
    const next = new Map<string, HostedSubscription>()
    const opened: HostedSubscription[] = []
    const discard = async (): Promise<void> => {
      const own = opened.filter((each) => !each.shares(this.#now.get(each.name)))
      await Promise.all(own.map((each) => each.close()))
    }
    try {
      for (const [name, spec] of Object.entries(subscriptions)) {
        const before = this.#now.get(name)
        const each = before?.isSame(spec)
          ? before
          : await HostedSubscription.open(name, spec, context, before)
        if (each !== before) opened.push(each)
        next.set(name, each)
      }
    } catch (error) {
      await discard()
      throw error
    }
    const commit = (): void => {
      this.#services = services
      this.#switchTo(next)
    }
    return { commit, discard }
  }

  /** Sends nothing more, and waits for what is under way; clients still settle what they have. */
  async stop(cut?: AbortSignal): Promise<void> {
    await Promise.all([...this.#now.values()].map((each) => each.stop(cut)))
  }

  /** Leaves everything to others. */
  async close(): Promise<void> {
    await Promise.all([...this.#now.values()].map((each) => each.close(AbortSignal.abort())))
    await Promise.all(this.#leaving)
  }

  #switchTo(next: ReadonlyMap<string, HostedSubscription>): void {
    const before = this.#now
    this.#now = next
    for (const [name, each] of before) {
      const after = next.get(name)
      if (after !== each) this.#leave(after?.shares(each) ? each.stop() : each.close())
    }
    for (const [name, each] of next) if (before.get(name) !== each) each.begin()
  }

  #leave(leaving: Promise<void>): void {
    this.#leaving.add(leaving)
    void leaving.finally(() => this.#leaving.delete(leaving))
  }
}
