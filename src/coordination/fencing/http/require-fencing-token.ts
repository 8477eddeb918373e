import type { IncomingMessage, ServerResponse } from 'node:http'
import { duration, type Duration } from '../../../core/duration.js'
import { BanyanError } from '../../../core/errors.js'
import type { HandlerProblem, HandlerRequest, HttpHandler } from '../../../core/http-handler.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import { systemRuntime, type Runtime } from '../../../core/runtime.js'
import { coordinationError } from '../../errors.js'
import { checkFenceName } from '../claim.js'
import type { FenceKeeper } from '../fenced-key.js'
import { staleCounter, StaleTokenError } from '../stale-token.js'
import { FENCING_TOKEN, parseFencingToken, type FencingToken } from './header.js'
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
  const turnstile = new Turnstile(name, fences, runtime.clock, duration(wait))
  const refused = staleCounter(runtime)

  const enter = async (field: string | null | undefined): Promise<Entered> => {
    try {
      const token = tokenOf(field, name, required)
      return token ? { token, leave: await turnstile.enter(token) } : { token, leave: () => undefined }
    } catch (error) {
      if (error instanceof StaleTokenError) refused.add(1, { 'banyan.fence': name })
      if (error instanceof BanyanError) return { problem: problemOf(error) }
      throw error
    }
  }

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

/** A request that was let in, or why not. */
type Entered =
  | { readonly token: FencingToken | undefined; readonly leave: () => void }
  | { readonly problem: HandlerProblem }

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  enter: (field: string | undefined) => Promise<Entered>,
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

function tokenOf(
  field: string | null | undefined,
  name: string,
  required: boolean,
): FencingToken | undefined {
  if (field === null || field === undefined) {
    if (!required) return undefined
    throw coordinationError(
      'BANYAN_FENCING_TOKEN_REQUIRED',
      `this may be changed by the holder of ${JSON.stringify(name)} only: send its token as Fencing-Token`,
    )
  }
  const token = parseFencingToken(field)
  if (token.name !== name)
    throw coordinationError(
      'BANYAN_INVALID_FENCING_TOKEN',
      `the fence here is ${JSON.stringify(name)}, the token is of ${JSON.stringify(token.name)}`,
    )
  return token
}

/** ms until it is worth trying again. */
const SOON = 1000

/** Status, kind, and what is told where the message is about the inside. */
const PROBLEMS: Readonly<Record<string, readonly [status: number, kind: string]>> = {
  BANYAN_STALE_TOKEN: [412, 'stale-token'],
  BANYAN_FENCING_TOKEN_REQUIRED: [428, 'fencing-token-required'],
  BANYAN_INVALID_FENCING_TOKEN: [400, 'invalid-fencing-token'],
  BANYAN_FENCE_BUSY: [503, 'fence-busy'],
}

function problemOf(error: BanyanError): HandlerProblem {
  const { code } = error
  const known = PROBLEMS[code]
  if (!known)
    return {
      status: 503,
      kind: 'fence-unavailable',
      detail: 'It cannot be told at the moment whether the token is the highest. Nothing was done.',
      extensions: { code },
      retryAfter: SOON,
    }
  const [status, kind] = known
  return {
    status,
    kind,
    detail: error.message,
    extensions: {
      code,
      ...(error instanceof StaleTokenError && {
        fence: error.fence,
        token: error.token,
        seen: error.seen,
      }),
    },
    ...(status === 503 && { retryAfter: SOON }),
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
