import type { IncomingMessage } from 'node:http'
import type { HandlerRequest, HttpHandler } from '../../core/http-handler.js'
import type { OutboxControl } from '../outboxes/state.js'
import {
  auditRecord,
  auditTrail,
  type AuditEntry,
  type AuditSelection,
} from '../../events/event-sourcing/audit.js'
import type { EventLog, StreamInfo } from '../../events/log.js'
import {
  json,
  notAllowed,
  problem,
  queryOf,
  readBytes,
  refuseUnknown,
  signalOf,
  type Reply,
} from './reply.js'

/** The event log as operators see it. */
export interface AdminEvents {
  readonly log: EventLog
  /** Appends, reads and follows, as routes with `events` do. */
  readonly handler: HttpHandler
  /** Aborts when those who follow are to come back elsewhere. */
  readonly closing: AbortSignal
  state(): Promise<object>
  /** The outboxes that are relayed to it, if its configuration ever had some. */
  readonly outboxes: OutboxControl | undefined
}

const BASE = '/api/events'

const LARGEST_LIST = 1000

/**
 * Answers `/api/events` and what is below it:
 *
 * | request | answer |
 * |---|---|
 * | `GET /api/events`, `GET /api/events/streams/{stream}` | events, with the parameters and in the forms of a route with `events` |
 * | `POST /api/events`, `POST /api/events/streams/{stream}` | appends |
 * | `GET /api/events/tail` | what comes from now on, as Server-Sent Events; `from` begins earlier |
 * | `GET /api/events/streams?category={category}&after={stream}&limit={n}` | streams, in order of their names |
 * | `GET /api/events/audit?stream={stream}&category={category}&actor={name}&correlation={id}&from={position}&to={position}` | who did what, when and why, as lines of JSON |
 * | `POST /api/events/replica/...` | what followers of the log ask |
 * | `GET /api/events/stats` | driver, promises, counts, sizes, holds |
 * | `GET /api/events/verify` | reads and checks everything: findings as lines of JSON, the last with `ok: true` or none |
 */
export async function eventsReply(
  request: IncomingMessage,
  path: string,
  events: AdminEvents | undefined,
): Promise<Reply> {
  if (!events) return problem(404, 'This node hosts no event log: its configuration has no `events`.')
  const below = path.slice(BASE.length)
  if (below === '' || /^\/(streams|replica)\//.test(below)) return handled(request, below, events.handler)
  if (request.method !== 'GET' && request.method !== 'HEAD') return notAllowed('GET, HEAD')
  switch (below) {
    case '/tail':
      return tail(request, events.handler)
    case '/streams':
      return streams(request, events.log)
    case '/audit':
      return audit(request, events.log)
    case '/stats':
      return json(200, await events.state())
    case '/verify':
      return { status: 200, type: 'application/x-ndjson', body: verified(request, events.log) }
    default:
      return problem(
        404,
        'There is nothing here. Try /api/events, /api/events/tail, /api/events/streams, /api/events/audit, /api/events/stats or /api/events/verify.',
      )
  }
}

function tail(request: IncomingMessage, handler: HttpHandler): Promise<Reply> {
  const query = queryOf(request)
  if (!query.has('from')) query.set('from', 'end')
  return handled(request, '', handler, { query, accept: 'text/event-stream' })
}

async function streams(request: IncomingMessage, log: EventLog): Promise<Reply> {
  const query = queryOf(request)
  const refusal = refuseUnknown(query, ['category', 'after', 'limit'])
  if (refusal) return refusal
  const limit = Number(query.get('limit') ?? 100)
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_LIST)
    return problem(400, `\`limit\` must be a whole number from 1 to ${LARGEST_LIST}.`)
  const [category, after] = [query.get('category'), query.get('after')]
  const found: StreamInfo[] = []
  const options = { limit, ...(category !== null && { category }), ...(after !== null && { after }) }
  for await (const stream of log.streams(options)) found.push(stream)
  const next = found.length === limit ? found.at(-1)!.stream : undefined
  return json(200, { streams: found, ...(next !== undefined && { next }) })
}

/** Parameters of `/audit`, and what they select. */
const AUDIT = {
  stream: 'stream',
  category: 'category',
  actor: 'actor',
  correlation: 'correlationId',
  from: 'from',
  to: 'to',
} as const satisfies Record<string, keyof AuditSelection>

async function audit(request: IncomingMessage, log: EventLog): Promise<Reply> {
  const query = queryOf(request)
  const refusal = refuseUnknown(query, Object.keys(AUDIT))
  if (refusal) return refusal
  const selection: AuditSelection = { signal: signalOf(request) }
  for (const [name, value] of query) selection[AUDIT[name as keyof typeof AUDIT]] = value
  const entries = auditTrail(log, selection)[Symbol.asyncIterator]()
  // What is wrong with the request shows here, while there is still a status to tell it with.
  const first = await entries.next()
  return { status: 200, type: 'application/x-ndjson', body: linesOf(first, entries) }
}

async function* linesOf(
  first: IteratorResult<AuditEntry, unknown>,
  entries: AsyncIterator<AuditEntry, unknown>,
): AsyncGenerator<Buffer> {
  try {
    for (let next = first; !next.done; next = await entries.next())
      yield Buffer.from(`${JSON.stringify(auditRecord(next.value))}\n`)
  } finally {
    await entries.return?.()
  }
}

async function* verified(request: IncomingMessage, log: EventLog): AsyncGenerator<Buffer> {
  for await (const finding of log.verify({ signal: signalOf(request) }))
    yield Buffer.from(`${JSON.stringify(finding)}\n`)
}

/** Lets a handler answer. */
async function handled(
  request: IncomingMessage,
  path: string,
  handler: HttpHandler,
  {
    query = queryOf(request),
    accept = request.headers.accept,
  }: { query?: URLSearchParams; accept?: string } = {},
): Promise<Reply> {
  const { headers, method = 'GET' } = request
  const asked: HandlerRequest = {
    method,
    base: BASE,
    path,
    query,
    fields: Object.entries(headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]),
    field: (lower) => (lower === 'accept' ? accept : headers[lower] && [headers[lower]].flat().join(', ')),
    body: (most) => readBytes(request, most),
    signal: signalOf(request),
    caller: undefined,
    traceparent: undefined,
  }
  const answer = await handler(asked)
  if ('problem' in answer) {
    const { status, kind, detail, fields = [], extensions } = answer.problem
    return {
      ...problem(status, detail, { type: `urn:banyan:problem:${kind}`, ...extensions }),
      headers: Object.fromEntries(fields),
    }
  }
  const { 'Content-Type': type = 'application/json', ...more } = Object.fromEntries(answer.fields)
  return { status: answer.status, type, body: answer.body, headers: more }
}
