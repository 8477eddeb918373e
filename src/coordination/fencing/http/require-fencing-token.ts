import type { IncomingMessage, ServerResponse } from 'node:http'
import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import type { HandlerProblem, HandlerRequest, HttpHandler } from '../../../core/http-handler.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import { checkFenceName } from '../claim.js'
import type { FenceKeeper } from '../fenced-key.js'
import { entranceOf, type Entrance } from './entrance.js'
import { FENCING_TOKEN, type FencingToken } from './header.js'
import { Turnstile } from './turnstile.js'

/** Options of {@link requireFencingToken}. */
export interface FencingOptions {
  /** The fence: of the election, lock or job whose holder may change what is behind. */
  name: string
  /**
   * What remembers the highest token for other servers and for after a restart: `openFences(...)`, `coordinatorFences(...)`.
   * Default nothing: one server alone, which has seen no token when it starts.
   */
  fences?: FenceKeeper
  /** Whether a request without a token is refused; otherwise it is let in, unfenced. Default true. */
  required?: boolean
  /** How long a request waits for those of earlier holders that are under way. Default `'30s'`. */
  wait?: Duration
  /** Time, chance and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<FencingOptions> = {
  name: { kind: 'string', doc: 'the fence' },
  fences: { kind: 'code', type: 'object', doc: 'what remembers the highest token' },
  required: { kind: 'boolean', doc: 'whether a request without a token is refused' },
  wait: { kind: 'duration', doc: 'how long a request waits for those of earlier holders' },
  runtime: { kind: 'code', type: 'object', doc: 'time, chance and telemetry' },
}

/** What {@link requireFencingToken} makes of handlers. They get the token, so that they can guard what they do with it. */
export interface FencingGate {
  /** For servers that take a `Request` and give a `Response`. The request has ended when the response is there. */
  fetch(
    handler: (request: Request, token: FencingToken | undefined) => Response | Promise<Response>,
  ): (request: Request) => Promise<Response>
  /** For `node:http`. The request has ended when the handler has, and its response is closed. What the handler throws becomes a 500. */
  node(
    handler: (request: IncomingMessage, response: ServerResponse, token: FencingToken | undefined) => unknown,
  ): (request: IncomingMessage, response: ServerResponse) => void
  /** For handlers of Banyan. The request has ended when the answer is there. */
  handler(
    handler: (request: HandlerRequest, token: FencingToken | undefined) => ReturnType<HttpHandler>,
  ): HttpHandler
}

/**
 * Keeps requests of those who have been replaced away from a handler: who comes with a lower token than was seen is refused
 * before the handler runs, with 412 (a condition that the request states is not true any more; clients repeat a 409, and this
 * must not be repeated) and the code `BANYAN_STALE_TOKEN`. Who comes with a higher one waits until the requests of all before
 * have ended.
 *
 * Guarantee: behind one gate no request with a lower token runs or begins once one with a higher token has been let in. With
 * several servers, or where work goes on behind the end of a request, the handler must guard its own transaction with the token
 * it is given.
 *
 * | answer | code | when |
 * |---|---|---|
 * | 412 | `BANYAN_STALE_TOKEN` | somebody else has taken over; with `fence`, `token` and `seen` |
 * | 428 | `BANYAN_FENCING_TOKEN_REQUIRED` | there is no token |
 * | 400 | `BANYAN_INVALID_FENCING_TOKEN` | it is none, or of another fence |
 * | 503 | `BANYAN_FENCE_BUSY` | a request of an earlier holder is still under way, after `wait` |
 * | 503 | that of `fences` | the highest token cannot be asked for |
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function requireFencingToken(options: FencingOptions): FencingGate {
  checkOptions('requireFencingToken', OPTIONS, options)
  const { name, fences, required = true, wait = '30s', runtime = systemRuntime } = options
  checkFenceName(name)
  if (fences && typeof (fences as Partial<FenceKeeper>).raise !== 'function')
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      'requireFencingToken: `fences` must be what openFences(...) or coordinatorFences(...) gives; it has no raise()',
    )
  const turnstile = new Turnstile(name, fences, runtime.clock)
  const enter = entranceOf(turnstile, { name, required, wait: duration(wait) }, runtime)

  return {
    fetch: (handler) => async (request) => {
      const entered = await enter(request.headers.get(FENCING_TOKEN))
      if ('problem' in entered) return new Response(...documentOf(entered.problem))
      try {
        return await handler(request, entered.token)
      } finally {
        entered.leave()
      }
    },
    node: (handler) => (request, response) => {
      void serve(request, response, enter, handler).catch((error: unknown) => {
        runtime.telemetry.log('error', `a request behind the fence ${name} has failed: ${String(error)}`)
        if (response.headersSent) response.destroy()
        else response.writeHead(500).end()
      })
    },
    handler: (handler) => async (request) => {
      const entered = await enter(request.field(FENCING_TOKEN))
      if ('problem' in entered) return entered
      try {
        return await handler(request, entered.token)
      } finally {
        entered.leave()
      }
    },
  }
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  enter: Entrance,
  handler: Parameters<FencingGate['node']>[0],
): Promise<void> {
  const closed = new Promise<void>((resolve) => response.once('close', resolve))
  const entered = await enter(request.headers[FENCING_TOKEN] as string | undefined)
  if ('problem' in entered) {
    const [body, { status, headers }] = documentOf(entered.problem)
    response.writeHead(status, headers).end(body)
    return
  }
  try {
    await handler(request, response, entered.token)
    await closed
  } finally {
    entered.leave()
  }
}

/** A problem document (RFC 9457). */
function documentOf({
  status,
  kind,
  detail,
  extensions,
  retryAfter,
}: HandlerProblem): [body: string, init: { status: number; headers: Record<string, string> }] {
  const title = kind.replaceAll('-', ' ')
  return [
    JSON.stringify({ type: 'about:blank', title, status, detail, ...extensions }),
    {
      status,
      headers: {
        'content-type': 'application/problem+json',
        ...(retryAfter !== undefined && { 'retry-after': String(Math.ceil(retryAfter / 1000)) }),
      },
    },
  ]
}
