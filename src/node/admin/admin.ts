import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pipeline, Readable } from 'node:stream'
import { systemClock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import { parseDuration, type Duration } from '../../core/duration.js'
import type { BreakerSnapshot, Override } from '../../traffic/policies/circuit-breaker.js'
import { suggest } from '../../core/suggest.js'
import type { Explanation } from '../explain/explanation.js'
import type { Metrics } from '../metrics.js'
import { configReply, type ConfigSubject } from './config.js'
import { eventsReply, type AdminEvents } from './events.js'
import { coordinationReply, isCoordinationPath } from './coordination.js'
import type { HttpHandler } from '../../core/http-handler.js'
import { nodeListener } from '../../core/node-listener.js'
import { RESOURCES_PATH } from '../address.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import type { CaptureControl, HostedCaptureState } from '../cdc/state.js'
import type { OutboxState } from '../outboxes/state.js'
import type { ProjectionControl } from '../projections/state.js'
import { outboxesReply } from './outboxes.js'
import { captureReply } from './cdc.js'
import type { HostedReplicasState, ReplicaControl } from '../replicas/state.js'
import { projectionsReply } from './projections.js'
import { purgeReply, type CachePurge } from './cache.js'
import type { SagaStarter } from '../sagas/state.js'
import { sagasReply } from './sagas.js'
import { replicasReply } from './replicas.js'
import { StatusWatch } from './status-stream.js'
import { tracesReply } from './traces.js'
import { subscriptionsReply } from './subscriptions.js'
import {
  decoded,
  json,
  listOf,
  noteEnd,
  notAllowed,
  problem,
  readBody,
  refuseForeign,
  TooLargeError,
  type Reply,
} from './reply.js'

/** What the admin listener shows and moves. */
export interface AdminSubject extends ConfigSubject {
  /** Whether new requests should be sent here; false from the first moment of a shutdown. */
  ready(): boolean
  /** Services whose endpoints are not known yet, for which a node that has just started is not ready. */
  waiting?(): readonly string[]
  /** Everything `banyan status` shows, as JSON. */
  state(): object | Promise<object>
  breakers(): ReadonlyMap<string, BreakerControl> | Promise<ReadonlyMap<string, BreakerControl>>
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>
  /** The event log that is hosted here, if there is one. */
  events(): HostedEvents | undefined
  /** The projections of its configuration, if it has some. */
  projections(): ProjectionControl | undefined
  /** The captures of its configuration, if it has some. */
  captures(): CaptureControl | undefined
  /** The sagas of its configuration, if it has some. */
  sagas(): SagaStarter | undefined
  /** The coordinator of its configuration, if it has one. */
  coordination(): HostedCoordinator | undefined
  /** Its replicas, if it has some. */
  replicas(): ReplicaControl | undefined
  /** What answers requests for resources, if it has kinds of them and they can be reached. */
  resources(): HttpHandler | undefined
  /** Why requests were refused: that of an id, or the last ones. */
  explain(id: string | undefined): readonly Explanation[] | Promise<readonly Explanation[]>
  /** Forgets answers that caches keep; returns how many. */
  purge(which: CachePurge): number | Promise<number>
}

function isOfResources({ url = '' }: IncomingMessage): boolean {
  return url === RESOURCES_PATH || url.startsWith(`${RESOURCES_PATH}/`)
}

/** The event log of a node, and how it is. */
interface HostedEvents extends AdminEvents {
  readonly problem: string | undefined
  /** A copy says why it is to get no requests yet. */
  readonly replica: { readonly waiting: string | undefined } | undefined
}

/** What an operator can do to a breaker, wherever it is. */
export interface BreakerControl {
  force(override: Override): void | Promise<void>
  release(): void | Promise<void>
  snapshot(): BreakerSnapshot | Promise<BreakerSnapshot>
}

/** Most bytes of a request body that is not a configuration. */
const BODY_BYTES = 64 * 1024

/**
 * The listener for operators and their tools, meant for loopback:
 *
 * | request | answer |
 * |---|---|
 * | `GET /healthz` | 200 while the process works |
 * | `GET /readyz` | 200 while requests should come here, 503 until the registry has answered, until a copy has caught up, and from the start of a shutdown |
 * | `GET /metrics` | Prometheus text |
 * | `GET /api/state` | services, endpoints, breakers, routes, rates |
 * | `GET /api/explain?id={id}` | why the request of that request id or trace id failed; without it, the last ones |
 * | `GET /api/config` | the configuration in force, secrets hidden; its `ETag` tells generation and content |
 * | `PUT /api/config` | puts a configuration into force, see {@link configReply} |
 * | `POST /api/reload` | reads the file again that the node was started from |
 * | `/api/events...` | the event log: see {@link eventsReply} |
 * | `/api/subscriptions...`, `/api/topics` | the subscriptions of the event log: see {@link subscriptionsReply} |
 * | `/api/projections...` | read models: see {@link projectionsReply} |
 * | `/api/outboxes...` | outboxes that are relayed to the log: see {@link outboxesReply} |
 * | `/api/cdc...` | captured databases: see {@link captureReply} |
 * | `/api/sagas...` | sagas: see {@link sagasReply} |
 * | `GET /api/traces/{correlationId}` | from event to event: see {@link tracesReply} |
 * | `/api/elections...`, `/api/locks...`, `/api/semaphores...`, `/api/jobs...`, `/api/registry...`, `/api/shards...`, `/api/data-shards...` | what is on the coordinator: see {@link coordinationReply} |
 * | `/api/replicas...` | copies of the event log and of databases: see {@link replicasReply} |
 * | `/kubernetes/...` | resources, as an API server of Kubernetes has them: see {@link kubernetesApi} |
 * | `POST /api/cache/purge` | `{ "route"?, "host"?, "path"? }`: forgets kept answers; see {@link purgeReply} |
 * | `PUT /api/breakers/{name}/override` | `{ "state": "open" \| "closed", "for"?: "5m", "reason"?: text }` |
 * | `DELETE /api/breakers/{name}/override` | takes the override back |
 *
 * A browser page of another origin can neither read nor change anything: requests with a foreign `Origin` or a
 * `Host` that is not an address or `localhost` are refused (DNS rebinding).
 */
export class AdminServer {
  readonly #subject: AdminSubject
  readonly #server: Server
  readonly #outboxes: StatusWatch<OutboxState>
  readonly #captures: StatusWatch<HostedCaptureState>
  readonly #replicas: StatusWatch<HostedReplicasState>
  readonly #closing = new AbortController()
  #draining = false

  constructor(subject: AdminSubject) {
    this.#subject = subject
    this.#outboxes = new StatusWatch(
      systemClock,
      async () => (await subject.events()?.outboxes?.list()) ?? [],
    )
    this.#captures = new StatusWatch(systemClock, async () => (await subject.captures()?.list()) ?? [])
    this.#replicas = new StatusWatch(systemClock, async () => (await subject.replicas()?.list()) ?? [])
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  /** Starts to listen. Rejects with Node's error if it cannot. */
  listen(port: number, host: string): Promise<AddressInfo> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject)
        resolve(this.#server.address() as AddressInfo)
      })
    })
  }

  /** Takes no more requests, but answers those it has. */
  drain(): Promise<void> {
    this.#draining = true
    this.#closing.abort()
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
    })
  }

  close(): Promise<void> {
    this.#closing.abort()
    return new Promise((resolve) => {
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let reply: Reply
    noteEnd(request, response)
    const resources = isOfResources(request)
      ? (this.#subject.resources() ?? this.#subject.control()?.resources)
      : undefined
    if (resources) {
      nodeListener(resources, { base: RESOURCES_PATH })(request, response)
      return
    }
    try {
      reply = await this.#reply(request)
    } catch (error) {
      const status = error instanceof TooLargeError ? 413 : error instanceof BanyanError ? 400 : 500
      reply = problem(status, status === 500 ? 'The request failed.' : (error as Error).message)
    }
    response.writeHead(reply.status, {
      'Content-Type': reply.type,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...(this.#draining ? { Connection: 'close' } : {}),
      ...reply.headers,
    })
    const { body } = reply
    if (request.method === 'HEAD') response.end()
    else if (typeof body === 'string' || Buffer.isBuffer(body)) response.end(body)
    // What breaks off in the middle must not look complete: then the connection is cut.
    else {
      // The first part may be long in coming.
      response.flushHeaders()
      pipeline(Readable.from(body, { objectMode: false }), response, () => undefined)
    }
  }

  async #reply(request: IncomingMessage): Promise<Reply> {
    const refusal = refuseForeign(request)
    if (refusal) return refusal
    const path = (request.url ?? '/').split('?')[0]!
    const override = /^\/api\/breakers\/([^/]+)\/override$/.exec(path)
    if (override) {
      const name = decoded(override[1]!)
      return name === undefined
        ? problem(400, 'The name of the breaker is not percent-encoded as it must be.')
        : this.#override(request, name)
    }
    if (isOfResources(request))
      return problem(
        404,
        'This node serves no resources: `resources`, `kinds` and `controllers` of its configuration name some.',
      )
    if (path === '/api/cache/purge') return purgeReply(request, this.#subject)
    if (path === '/api/events' || path.startsWith('/api/events/'))
      return eventsReply(request, path, this.#subject.events())
    if (/^\/api\/(subscriptions(\/.*)?|topics)$/.test(path))
      return subscriptionsReply(request, path, this.#subject.events())
    if (path === '/api/projections' || path.startsWith('/api/projections/'))
      return projectionsReply(request, path, this.#subject.projections())
    if (path === '/api/outboxes' || path.startsWith('/api/outboxes/'))
      return outboxesReply(request, path, this.#watched(this.#subject.events()?.outboxes, this.#outboxes))
    if (path === '/api/cdc' || path.startsWith('/api/cdc/'))
      return captureReply(request, path, this.#watched(this.#subject.captures(), this.#captures))
    if (path === '/api/sagas' || path.startsWith('/api/sagas/'))
      return sagasReply(request, path, this.#subject.events(), this.#subject.sagas())
    if (path === '/api/replicas' || path.startsWith('/api/replicas/')) {
      const control = this.#subject.replicas()
      const subject = control && { control, watch: this.#replicas, closing: this.#closing.signal }
      return replicasReply(request, path, subject)
    }
    if (isCoordinationPath(path)) return coordinationReply(request, path, this.#subject.coordination())
    if (/^\/api\/traces\/[^/]+$/.test(path)) return tracesReply(request, path, this.#subject.events())
    if (path === '/api/reload' || path === '/api/config') return configReply(request, path, this.#subject)
    if (request.method !== 'GET' && request.method !== 'HEAD') return notAllowed('GET, HEAD')
    switch (path) {
      case '/healthz':
        return json(200, { status: 'ok' })
      case '/readyz':
        return this.#ready()
      case '/metrics':
        // So that its gauges tell of now, not of the last time that somebody has asked.
        await Promise.all([
          this.#subject.events()?.state(),
          this.#subject.coordination()?.state(),
          this.#subject.replicas()?.list(),
        ])
        return {
          status: 200,
          type: this.#subject.metrics.contentType,
          body: await this.#subject.metrics.text(),
        }
      case '/api/state':
        return json(200, await this.#subject.state())
      case '/api/explain':
        return json(200, { requests: await this.#subject.explain(idOf(request)) })
      default:
        return problem(
          404,
          'There is nothing here. Try /healthz, /readyz, /metrics, /api/state, /api/explain, /api/config, /api/events, /api/subscriptions, /api/topics, /api/projections, /api/outboxes, /api/cdc, /api/sagas, /api/elections, /api/locks, /api/semaphores, /api/jobs, /api/registry, /api/shards, /api/data-shards, /api/replicas, /api/traces/{correlationId} or /kubernetes.',
        )
    }
  }

  /** What is there to be asked and followed: both stand beside an event log. */
  #watched<Control, Watch>(
    control: Control | undefined,
    watch: Watch,
  ): { control: Control; watch: Watch; closing: AbortSignal } | undefined {
    const closing = this.#subject.events()?.closing
    return control && closing && { control, watch, closing }
  }

  /** A log or a coordinator that cannot be asked is told, but no reason to send all else away: every node would be told so at once. */
  #ready(): Reply {
    if (!this.#subject.ready()) return json(503, { status: 'draining' })
    const [events, coordination] = [this.#subject.events(), this.#subject.coordination()]
    const services = this.#subject.waiting?.() ?? []
    const copy = events?.replica?.waiting
    const isWaiting = services.length > 0 || copy !== undefined
    return json(isWaiting ? 503 : 200, {
      status: isWaiting ? 'waiting' : 'ready',
      ...(services.length > 0 && { services }),
      ...(events && { events: copy ?? events.problem ?? 'ready' }),
      ...(coordination && { coordination: coordination.problem ?? 'ready' }),
    })
  }

  async #override(request: IncomingMessage, name: string): Promise<Reply> {
    const breakers = await this.#subject.breakers()
    const breaker = breakers.get(name)
    if (!breaker) {
      const near = suggest(name, breakers.keys())
      const hint = near ? `, did you mean \`${near}\`?` : listOf([...breakers.keys()])
      return problem(404, `There is no breaker \`${name}\`${hint}`)
    }
    if (request.method === 'DELETE') {
      await breaker.release()
    } else if (request.method === 'PUT') {
      const body = await readBody(request, BODY_BYTES)
      if (body === undefined) return problem(413, 'The request body is too large.')
      const wanted = readOverride(body)
      if (typeof wanted === 'string') return problem(400, wanted)
      await breaker.force(wanted)
    } else {
      return notAllowed('PUT, DELETE')
    }
    return json(200, await breaker.snapshot())
  }
}

/** The id that is asked for, if one is. */
function idOf(request: IncomingMessage): string | undefined {
  return new URL(request.url ?? '/', 'http://admin').searchParams.get('id') ?? undefined
}

/** Returns the override, or what is wrong with it. */
function readOverride(text: string): Override | string {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return 'The body must be JSON: { "state": "open" | "closed", "for"?: "5m", "reason"?: text }.'
  }
  const { state, for: lease, reason, ...rest } = (given ?? {}) as Record<string, unknown>
  if (Object.keys(rest).length > 0) return `Unknown: ${Object.keys(rest).join(', ')}.`
  if (state !== 'open' && state !== 'closed') return '`state` must be "open" or "closed".'
  if (lease !== undefined && parseDuration(lease) === undefined)
    return '`for` must be a duration such as "5m".'
  if (reason !== undefined && typeof reason !== 'string') return '`reason` must be text.'
  return {
    state,
    ...(lease === undefined ? {} : { for: lease as Duration }),
    ...(reason === undefined ? {} : { reason }),
  }
}
