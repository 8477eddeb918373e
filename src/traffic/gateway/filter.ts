import type { Runtime } from '../../core/runtime.js'
import { definePolicy, type Call, type Handler, type Policy } from '../policy.js'
import type { UpstreamAnswer } from './answer.js'
import type { Authenticator } from './filters/access/authenticator.js'
import type { FencingProvider } from './filters/fencing/spec.js'
import type { Forwarding } from './forwarding.js'
import type { QuotaStore } from './quota-store.js'
import type { EventsProvider } from './responders/events/spec.js'
import type { Service } from './service.js'
import type { GatewaySpec } from './spec.js'

/**
 * What a route does around its service besides the policies: who may pass, what is checked, changed, kept. A filter is
 * a policy that knows the request it is about; it goes on with `next`, answers by itself, or throws a `Refusal`.
 */
export interface Filter extends Policy<UpstreamAnswer> {
  /**
   * Forgets what it keeps of some resources.
   *
   * @returns how many answers that were
   */
  readonly purge?: (which: Purge) => number
}

/** Resources by their names; without a word on either, all. */
export interface Purge {
  /** As clients ask for it. */
  host?: string | undefined
  /** Path and query as the service sees them, or the beginning of them with `*` at its end. */
  path?: string | undefined
}

/** What a filter or responder may need to be made. */
export interface RouteContext {
  /** Name of the route; what metrics and errors call it. */
  readonly route: string
  readonly runtime: Runtime
  /**
   * Ask it for services by name while the filter is made, and keep what it gives: a filter is made anew when one of
   * those changes.
   */
  readonly services: ReadonlyMap<string, Service>
  /** The whole specification, for what routes share by name. */
  readonly gateway: GatewaySpec
  /** By name; made before the routes. */
  readonly authenticators: ReadonlyMap<string, Authenticator>
  /** Where quotas are counted. */
  readonly quotaStore: QuotaStore
  /** Makes what answers from the event log, if there is one. */
  readonly events: EventsProvider | undefined
  /** Makes what knows which token is the highest, if there is a coordinator. */
  readonly fencing: FencingProvider | undefined
  /** Registers how to give back what a filter holds (timers, watchers); called once, when no request can use it any more. */
  readonly onClose: (close: () => void) => void
}

/**
 * Makes a filter.
 *
 * @param around - gets the request, the rest of its way, and the call that this is
 */
export function defineFilter(
  name: string,
  around: (
    forwarding: Forwarding,
    next: () => Promise<UpstreamAnswer>,
    call: Call,
  ) => Promise<UpstreamAnswer>,
): Filter {
  return definePolicy<UpstreamAnswer>(
    name,
    <T>(next: Handler<T>) =>
      (call: Call) =>
        around(call.subject as Forwarding, next.bind(undefined, call) as () => Promise<UpstreamAnswer>, call),
  )
}
