/**
 * The event log over HTTP: clients append CloudEvents, read them and follow what comes, publish to topics, and take the
 * messages of subscriptions.
 *
 * A request passes: what it is about (`path.ts`, `parameters.ts`), whether that is open to it (`scope.ts`), then appending
 * (`append.ts`, `topics.ts`, `schedule.ts`), a page or lines of events (`read.ts`), a stream of them (`follow.ts`), or messages (`pull.ts`,
 * `settle.ts`). What is wrong becomes a problem (`problem.ts`). Which server it came through does not matter: see `core/http-handler.ts`.
 */
import { duration, type Duration } from '../../core/duration.js'
import { FaultLog } from '../../core/fault-log.js'
import type { HandlerAnswer, HandlerProblem, HandlerRequest, HttpHandler } from '../../core/http-handler.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import { isUriReference } from '../cloudevents/attributes.js'
import { toCloudEvent } from '../cloudevents/index.js'
import type { EventLog, RecordedEvent, Selector } from '../log.js'
import { isSystemStream } from '../transform.js'
import { chooseType, NDJSON, SSE } from './accept.js'
import { appendEvents, type Target } from './append.js'
import { followEvents } from './follow.js'
import { readParameters } from './parameters.js'
import { problem, problemOf } from './problem.js'
import { placeOf } from './path.js'
import { checkSeen, newEnough, withAge, withEpoch, type Copy } from './copy.js'
import { pullMessages } from './pull.js'
import { readBatch, readHead, readLines } from './read.js'
import { Scope, systemStream, type ScopeOptions } from './scope.js'
import { settleDeliveries } from './settle.js'
import type { FindSubscription } from './subscriptions.js'
import type { EventsSurroundings } from './surroundings.js'
import { publishTarget, type TopicRules } from './topics.js'
import { withoutSystemStreams } from './visible.js'

/** Where followers are answered. */
const REPLICA = '/replica'

/** How a log is offered over HTTP. */
export interface EventsHttpOptions extends ScopeOptions {
  /** `source` of the CloudEvents that are read; default the path that the handler is reached at. */
  source?: string
  /**
   * Whose word it is who has done something (`metadata.actor`). `caller`: whoever was authenticated; an event that
   * names somebody else is refused. `given`: whatever the event says. Default `caller`.
   */
  actor?: 'caller' | 'given'
  /** Whether clients are operators, who are told what is wrong inside, and see the streams that Banyan keeps; default false. */
  operators?: boolean
  /** Silence after which followers get a comment; default 15 s. */
  heartbeat?: Duration
  /** The longest body of a request, in bytes; default 64 MB. */
  bodyBytes?: number
  /** The topics that are there now; default any name that can be one. */
  topics?: () => Readonly<Record<string, TopicRules>> | undefined
  /** Finds the subscriptions whose messages clients take; default there are none. */
  findSubscription?: FindSubscription
  /** What answers followers of the log, `followersOverHttp`, at `/replica`; default they are not answered. */
  replica?: HttpHandler
  /** Of a copy: what it is for those who read. Default: this is no copy. */
  copy?: Copy
  /** Aborted when the server is about to close: those who follow or wait get what they have, and are let go. */
  closing?: AbortSignal
  /** Time and telemetry; default the system's. */
  runtime?: Runtime
}

/**
 * Makes the handler that offers a log. The caller closes the log.
 *
 * | request | answer |
 * |---|---|
 * | `POST /`, `POST /streams/{stream}` | appends one commit: a CloudEvent, a batch of them, or a commit as JSON |
 * | `POST /topics/{topic}` | publishes a CloudEvent or a batch of them; `partitionkey` is the key, `banyandeliverat` or `banyandelay` when |
 * | `POST /subscriptions/{subscription}/pull` | messages, each with the id of its delivery |
 * | `POST /subscriptions/{subscription}/ack`, `nack`, `release`, `extend`, `reject` | what became of deliveries |
 * | `GET /`, `GET /streams/{stream}` | events: a page, lines, or a stream that goes on, by `Accept` |
 * | `HEAD /`, `HEAD /streams/{stream}` | where the log and the stream are |
 * | `POST /replica/...` | what followers ask: see `followersOverHttp` |
 *
 * A client says with `Log-Position` that it wants to read what it was told at that position, and with `Cache-Control: max-age`
 * how many seconds old the answer may be. That matters where the log is a copy, whose answers tell their `Age`. With `Log-Epoch`,
 * as it was told along with the position, it also hears if that was lost when a copy became the leader.
 */
export function eventsOverHttp(log: EventLog, options: EventsHttpOptions = {}): HttpHandler {
  const { runtime = systemRuntime, source, actor = 'caller', heartbeat = '15s' } = options
  const { bodyBytes = 64 * 1024 * 1024, closing = new AbortController().signal } = options
  const faults = new FaultLog(runtime, {
    what: 'the event log failed a request',
    attribute: 'banyan.problem',
  })
  const common = {
    log: options.operators ? log : withoutSystemStreams(log),
    clock: runtime.clock,
    closing,
    scope: new Scope(options),
    copy: options.copy,
    actor,
    operators: options.operators ?? false,
    topics: options.topics ?? (() => undefined),
    findSubscription: options.findSubscription ?? (() => undefined),
    heartbeat: duration(heartbeat, 'heartbeat'),
    bodyBytes,
  }
  return async (request) => {
    const named = source ?? (isUriReference(request.base) ? request.base : '/')
    const textOf = (event: RecordedEvent): string => JSON.stringify(toCloudEvent(event, { source: named }))
    try {
      if (options.replica && common.scope.allows('replicate') && request.path.startsWith(`${REPLICA}/`))
        return await options.replica(below(request, REPLICA))
      return await answer(request, { ...common, textOf })
    } catch (error) {
      const found = problemOf(error, options.operators ?? false)
      if (!found) throw error
      if (found.status >= 500) faults.note(found.kind, error)
      return { problem: withLeader(error, found, options.copy) }
    }
  }
}

/** Whoever is refused as this is a copy is told where the leader is. */
function withLeader(error: unknown, found: HandlerProblem, copy: Copy | undefined): HandlerProblem {
  const { code } = error as { code?: string }
  const leader = copy?.leader()
  if (leader === undefined || (code !== 'BANYAN_READ_ONLY' && code !== 'BANYAN_FOLLOWER_BEHIND')) return found
  return { ...found, extensions: { ...found.extensions, leader } }
}

async function answer(request: HandlerRequest, surroundings: EventsSurroundings): Promise<HandlerAnswer> {
  const { scope } = surroundings
  const { stream, topic, subscription } = placeOf(request.path)
  const { method } = request
  if (subscription) {
    if (method !== 'POST' || !scope.allows('consume'))
      throw notAllowed(method, scope.allows('consume') ? ['POST'] : [])
    const { name, operation } = subscription
    return operation === 'pull'
      ? pullMessages(request, name, surroundings)
      : settleDeliveries(request, name, operation, surroundings)
  }
  if (topic !== undefined) {
    if (method !== 'POST' || !scope.allows('append'))
      throw notAllowed(method, scope.allows('append') ? ['POST'] : [])
    return append(request, { topic: publishTarget(topic, surroundings.topics()) }, surroundings)
  }
  if (method === 'POST' && scope.allows('append'))
    return append(request, stream === undefined ? {} : { stream }, surroundings)
  if (!['GET', 'HEAD'].includes(method) || !scope.allows('read'))
    throw notAllowed(method, [
      ...(scope.allows('read') ? ['GET', 'HEAD'] : []),
      ...(scope.allows('append') ? ['POST'] : []),
    ])
  const wanted = readParameters(request, stream)
  scope.checkSelector(wanted.selector)
  if (!surroundings.operators) refuseSystemStreams(wanted.selector)
  const type = chooseType(request.field('accept'))
  const isOneAnswer = method === 'HEAD' || (type !== SSE && wanted.wait === undefined)
  const { log, age, isElsewhere } = await newEnough(request, wanted, isOneAnswer, surroundings)
  const around = { ...surroundings, log }
  const told = (found: HandlerAnswer): HandlerAnswer | Promise<HandlerAnswer> => {
    const aged = withAge(found, age)
    return isElsewhere ? aged : withEpoch(aged, surroundings.copy)
  }
  if (method === 'HEAD') return told(await readHead(around, wanted.selector.stream))
  if (type === SSE) return followEvents(request, wanted, around)
  if (type === NDJSON) return told(await readLines(request, wanted, around))
  return told(await readBatch(request, wanted, type, around))
}

async function append(
  request: HandlerRequest,
  target: Target,
  surroundings: EventsSurroundings,
): Promise<HandlerAnswer> {
  await checkSeen(request, surroundings.copy)
  return withEpoch(await appendEvents(request, target, surroundings), surroundings.copy)
}

/** A request without a part at the beginning of its path, as what is mounted there sees it. */
function below(request: HandlerRequest, part: string): HandlerRequest {
  return {
    ...{ method: request.method, base: request.base + part, path: request.path.slice(part.length) },
    ...{ query: request.query, fields: request.fields, signal: request.signal },
    ...{ caller: request.caller, traceparent: request.traceparent },
    field: (lower) => request.field(lower),
    body: (most) => request.body(most),
  }
}

/** @throws a problem of 403 */
function refuseSystemStreams({ stream, category }: Selector): void {
  const named = [stream, category].find((name) => name !== undefined && isSystemStream(name))
  if (named !== undefined) throw systemStream(named)
}

function notAllowed(method: string, allowed: readonly string[]): Error {
  return problem(405, 'method-not-allowed', `${method} is not allowed here.`, {
    fields: [['Allow', allowed.join(', ')]],
  })
}
