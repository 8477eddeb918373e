import type { IncomingMessage, ServerResponse } from 'node:http'
import type { HandlerRequest, HttpHandler } from './http-handler.js'

/** Options of {@link nodeListener}. */
export interface NodeListenerOptions {
  /** The path that the handler is reached at, such as `/followers`; default the root. */
  base?: string
  /** Who asks, as a check before has found out; default nobody knows. */
  caller?: (request: IncomingMessage) => string | undefined
}

/**
 * A handler as a listener of `node:http`: `createServer(nodeListener(handler))`. For those who run no gateway; it knows
 * neither access nor limits of time.
 */
export function nodeListener(
  handler: HttpHandler,
  { base = '', caller = () => undefined }: NodeListenerOptions = {},
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    respond(handler, base, caller(request), request, response).catch(() => response.destroy())
  }
}

async function respond(
  handler: HttpHandler,
  base: string,
  caller: string | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  const [path = '', query = ''] = (request.url ?? '').split('?', 2)
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
  response.writeHead(answer.status, answer.fields.flat())
  if (Buffer.isBuffer(answer.body)) {
    response.end(answer.body)
    return
  }
  for await (const part of answer.body) {
    if (gone.signal.aborted) return
    if (!response.write(part))
      await new Promise((resolve) => response.once('drain', resolve).once('close', resolve))
  }
  response.end()
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
