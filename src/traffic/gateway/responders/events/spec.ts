import type { Duration } from '../../../../core/duration.js'
import type { HttpHandler } from '../../../../core/http-handler.js'

/** `routes.<name>.events`: clients append to the event log, read and follow it. */
export interface EventsRouteSpec {
  /**
   * What clients may do here: `append` (also publishing), `read` (also following), `consume` (taking messages of
   * subscriptions), `replicate` (keeping a copy, which may take the place of the log). Default all but that.
   */
  allow?: ('append' | 'read' | 'consume' | 'replicate')[]
  /** Only streams of these categories. Default: all. */
  categories?: string[]
  /** Only these streams, by name or the beginning of it with `*` at its end. Default: all. */
  streams?: string[]
  /** Only messages of these subscriptions. Default: of all whose topic is open to clients. */
  subscriptions?: string[]
  /** What CloudEvents say as their `source` if the events do not. Default: the path of the route. */
  source?: string
  /**
   * Whose word it is who has done something (`metadata.actor`). `caller`: whoever was authenticated; an event that
   * names somebody else is refused. `given`: whatever the event says. Default `caller`.
   */
  actor?: 'caller' | 'given'
  /** Silence after which followers get a comment, so that nothing on the way takes the connection for dead. Default 15 s. */
  heartbeat?: Duration
  /** Whether a route without `access` is meant to be open to everybody. Default false. */
  public?: boolean
}

/**
 * Makes the handler of such a route: whoever has opened the event log does, as the gateway knows none.
 *
 * @param closing - aborted when the route is gone or another one: answers that would go on for ever end in good order
 */
export type EventsProvider = (
  spec: EventsRouteSpec,
  closing: AbortSignal,
) => HttpHandler | Promise<HttpHandler>
