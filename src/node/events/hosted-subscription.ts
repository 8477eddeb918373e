import { isDeepStrictEqual } from 'node:util'
import type { Runtime } from '../../core/runtime.js'
import { BanyanError } from '../../core/errors.js'
import { duration } from '../../core/duration.js'
import { Deliveries } from '../../events/http/deliveries.js'
import type { PulledSubscription } from '../../events/http/subscriptions.js'
import {
  push,
  subscribe,
  type EventLog,
  type Push,
  type PushOptions,
  type Subscription,
  type SubscriptionOptions,
} from '../../events/index.js'
import { createSubscription } from '../../events/pubsub/create.js'
import { pushSettings } from '../../events/pubsub/push/options.js'
import { readSecret } from '../../traffic/gateway/filters/access/secret.js'
import type { PushSpec, SubscriptionSpec } from '../spec.js'
import { keyFunction } from './key-expression.js'
import { PulledShare } from './pulled-share.js'
import type { Destination } from './push-sender.js'

/** What is in flight when the requests of the node are over is left to whoever comes next. */
const DRAIN = '1s'

/** What a hosted subscription works with. */
export interface SubscriptionContext {
  readonly log: EventLog
  readonly runtime: Runtime
  readonly destinationOf: (push: PushSpec) => Destination
}

/** A subscription that a configuration asks for: whose messages are sent to an endpoint, or pulled by clients. */
export class HostedSubscription {
  readonly name: string
  readonly spec: SubscriptionSpec
  readonly pulled: PulledSubscription | undefined
  /** Of one whose messages are sent; what clients pull is shared only while they do. */
  readonly #subscription: Subscription | undefined
  readonly #share: PulledShare | undefined
  readonly #options: PushOptions | undefined
  #push: Push | undefined
  #isDeleted = false

  private constructor(
    name: string,
    spec: SubscriptionSpec,
    subscription: Subscription | undefined,
    options: PushOptions | undefined,
    share: ((deliveries: Deliveries) => PulledShare) | undefined,
    { random }: Runtime,
  ) {
    this.name = name
    this.spec = spec
    this.#subscription = subscription
    this.#options = options
    subscription?.ended.catch(() => (this.#isDeleted = true))
    if (!share) return
    const { topic, deadline = '30s' } = spec
    const deliveries = new Deliveries(random)
    const shared = share(deliveries)
    this.#share = shared
    this.pulled = {
      topic,
      deadline: duration(deadline, 'deadline'),
      deliveries,
      pull: (wanted) => shared.pull(wanted),
    }
  }

  /**
   * Takes part in the subscription; nothing is sent before it is begun.
   *
   * @param before - the same subscription as it was; its share is taken over if only sending has changed
   * @throws {@link BanyanError} that says which subscription cannot be had, and why
   */
  static async open(
    name: string,
    spec: SubscriptionSpec,
    context: SubscriptionContext,
    before: HostedSubscription | undefined,
  ): Promise<HostedSubscription> {
    const { log, runtime } = context
    try {
      const options = spec.push && pushOptions(name, spec.push, context)
      const settings = { ...subscriptionOptions(name, spec), runtime }
      if (!spec.push) {
        await createSubscription(log, settings)
        const share = (deliveries: Deliveries): PulledShare =>
          new PulledShare(() => subscribe(log, settings), deliveries, runtime.clock, before && before.#share)
        return new HostedSubscription(name, spec, undefined, undefined, share, runtime)
      }
      const subscription = before?.isShared(spec)
        ? before.#subscription!
        : await subscribe(log, settings, before && before.#subscription)
      return new HostedSubscription(name, spec, subscription, options, undefined, runtime)
    } catch (error) {
      if (!(error instanceof BanyanError)) throw error
      const code = error.code as `BANYAN_${string}`
      throw new BanyanError(code, `subscriptions.${name}: ${error.message}`, { cause: error })
    }
  }

  /** Whether it goes on with this specification as it is. */
  isSame(spec: SubscriptionSpec): boolean {
    return !this.#isDeleted && !this.#share?.isDeleted && isDeepStrictEqual(this.spec, spec)
  }

  /** Whether another specification asks for the same, and only sends it otherwise. */
  isShared(spec: SubscriptionSpec): boolean {
    const own = { ...this.spec, push: undefined }
    return (
      !this.#isDeleted &&
      this.spec.push !== undefined &&
      spec.push !== undefined &&
      isDeepStrictEqual(own, { ...spec, push: undefined })
    )
  }

  /** Whether another one works with the same share. */
  shares(other: HostedSubscription | undefined): boolean {
    return (
      this.#subscription !== undefined && other !== undefined && other.#subscription === this.#subscription
    )
  }

  /** Begins to send. */
  begin(): void {
    if (this.#options && this.#subscription) this.#push = push(this.#subscription, this.#options)
  }

  /** Sends nothing more, and waits for what is under way. */
  async stop(cut?: AbortSignal): Promise<void> {
    await this.#push?.close(cut)
  }

  /** Leaves the subscription to others. */
  async close(cut?: AbortSignal): Promise<void> {
    await this.stop(cut)
    await Promise.all([this.#subscription?.close(), this.#share?.close()])
  }
}

function subscriptionOptions(name: string, spec: SubscriptionSpec): SubscriptionOptions {
  const { key, from, ...rest } = spec
  delete rest.push
  return {
    ...rest,
    name,
    drain: DRAIN,
    ...(key !== undefined && { key: keyFunction(key) }),
    ...(from !== undefined && { from: fromOf(from) }),
  }
}

/** Times have dashes, as nothing else has. */
function fromOf(text: string): NonNullable<SubscriptionOptions['from']> {
  return text.includes('-') ? { time: Date.parse(text) } : text
}

function pushOptions(
  name: string,
  spec: PushSpec,
  { runtime, destinationOf }: SubscriptionContext,
): PushOptions {
  const { format, source, headers, concurrency, secret } = spec
  const options: PushOptions = {
    ...destinationOf(spec),
    ...(format && { format }),
    ...(source !== undefined && { source }),
    ...(headers && { headers }),
    ...(concurrency !== undefined && { concurrency }),
    ...(secret && {
      secret: [secret].flat().map((each) => readSecret(each, `subscriptions.${name}.push.secret`)),
    }),
    runtime,
  }
  // What is wrong is to show now, not when it begins.
  pushSettings(options)
  return options
}
