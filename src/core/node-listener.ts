import type { IncomingMessage, ServerResponse } from 'node:http'
import { systemClock, type Clock } from './clock.js'
import { duration, type Duration } from './duration.js'
import type { HandlerAnswer, HandlerRequest, HttpHandler } from './http-handler.js'

/** Options of {@link nodeListener}. */
export interface NodeListenerOptions {
  /** The path that the handler is reached at, such as `/followers`; default the root. */
  base?: string
  /** Who asks, as a check before has found out; default nobody knows. */
  caller?: (request: IncomingMessage) => string | undefined
  /** How long a client may take nothing of an answer that waits for it; then its connection is cut. Default `'1m'`. */
  stall?: Duration
  /** Default the system's. */
  clock?: Clock
}

/**
 * A handler as a listener of `node:http`: `createServer(nodeListener(handler))`. For those who run no gateway; it knows
 * no access, and no limit of time but for clients that do not take what they have asked for.
 *
 * @throws `BANYAN_INVALID_OPTIONS` if `stall` is no duration
 */
export function nodeListener(
  handler: HttpHandler,
  { base = '', caller = () => undefined, stall = '1m', clock = systemClock }: NodeListenerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  const stalls: Stalls = { after: duration(stall, 'stall'), clock }
  return (request, response) => {
    respond(handler, base, caller(request), request, response, stalls).catch(() => response.destroy())
  }
}

/** When a client takes nothing any more. */
interface Stalls {
  /** ms */
  readonly after: number
  readonly clock: Clock
}

async function respond(
  handler: HttpHandler,
  base: string,
  caller: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
  stalls: Stalls,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const [path = ''] = (request.url ?? '').split('?', 1)
  const query = (request.url ?? '').slice(path.length + 1)
  if (path !== base && !path.startsWith(`${base}/`)) {
    response.writeHead(404).end()
    return
  }
  const answer = await handler(handlerRequest(request, base, path, query, caller, gone.signal))
  if ('problem' in answer) {
    const { status, kind, detail, fields = [], extensions } = answer.problem
    response.writeHead(status, [...fields, ['Content-Type', 'application/problem+json']].flat())
    response.end(JSON.stringify({ type: kind, status, detail, ...extensions }))
    return
  }
  // What was begun and not read whole is in the way of the next request.
  if (request.destroyed && !request.complete) response.shouldKeepAlive = false
  response.writeHead(answer.status, answer.fields.flat())
  if (Buffer.isBuffer(answer.body)) response.end(answer.body)
  else await giveParts(answer.body, response, gone.signal, stalls)
}

async function giveParts(
  parts: Exclude<HandlerAnswer['body'], Buffer>,
  response: ServerResponse,
  gone: AbortSignal,
  stalls: Stalls,
): Promise<void> {
  // The first part may be long in coming, and that it will come is an answer, too.
  response.flushHeaders()
  for await (const part of parts) {
    if (gone.aborted) return
    if (!response.write(part)) await taken(response, gone, stalls)
  }
  response.end()
}

/** Waits until the client has taken what there is for it, or is gone; one that does not take it is cut off. */
function taken(response: ServerResponse, gone: AbortSignal, { after, clock }: Stalls): Promise<void> {
  return new Promise((resolve) => {
    const timer = clock.schedule(clock.now() + after, () => response.destroy())
    const over = (): void => {
      timer.cancel()
      response.off('drain', over)
      gone.removeEventListener('abort', over)
      resolve()
    }
    response.once('drain', over)
    gone.addEventListener('abort', over)
    if (gone.aborted) over()
  })
}

function handlerRequest(
  request: IncomingMessage,
  base: string,
  path: string,
  query: string,
  caller: string | undefined,
  signal: AbortSignal,
): HandlerRequest {
  const { method = 'GET', headers, rawHeaders } = request
  return {
    method,
    base,
    path: path.slice(base.length).replace(/^\/$/, ''),
    query: new URLSearchParams(query),
    fields: rawHeaders.flatMap((name, index) =>
      index % 2 === 0 ? [[name, rawHeaders[index + 1]!] as const] : [],
    ),
    field: (lower) => {
      const value = headers[lower]
      return Array.isArray(value) ? value.join(', ') : value
    },
    async body(most) {
      const parts: Buffer[] = []
      let length = 0
      for await (const part of request as AsyncIterable<Buffer>) {
        length += part.length
        if (length > most) throw new Error(`the body is longer than ${most} bytes`)
        parts.push(part)
      }
      return Buffer.concat(parts)
    },
    signal,
    caller,
    traceparent: headers['traceparent'] as string | undefined,
  }
}
