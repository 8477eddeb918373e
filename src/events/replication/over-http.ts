import { BanyanError } from '../../core/errors.js'
import type { HandlerAnswer, HandlerRequest, HttpHandler } from '../../core/http-handler.js'
import { checkOptions, type OptionTable } from '../../core/options.js'
import { systemRuntime, type Runtime } from '../../core/runtime.js'
import type { Query } from '../driver.js'
import { problem, problemOf } from '../http/problem.js'
import type { EventLog } from '../log.js'
import { leaderOf } from './leader.js'
import type { GiveWayRequest, Leader, PullRequest } from './source.js'
import { packPage, packPulled } from './wire.js'

/** Options of {@link followersOverHttp}. */
export interface FollowersHttpOptions {
  /** Aborted when the server is about to close: those who wait get what there is. */
  closing?: AbortSignal
  /** Is told of each follower that asks for what it does not have yet. */
  onPull?: (pull: PullRequest, request: HandlerRequest) => void
  /** Time and telemetry; default the system's. */
  runtime?: Runtime
}

const OPTIONS: OptionTable<FollowersHttpOptions> = {
  closing: { kind: 'code', type: 'object', doc: 'aborted when the server is about to close' },
  onPull: { kind: 'code', type: 'function', doc: 'is told of each follower that asks' },
  runtime: { kind: 'code', type: 'object', doc: 'time and telemetry' },
}

/** The longest body of a request, in bytes. */
const BODY_BYTES = 1024 * 1024
/** The longest wait, in ms. */
const LONGEST_WAIT = 60_000

/**
 * Answers the followers of a log. Whoever may ask gets everything that is in it, as it is stored, and may fence it: mount it
 * behind authentication, for operators alone. The caller closes the log.
 *
 * | request | answer |
 * |---|---|
 * | `POST /pull` | what a follower does not have yet |
 * | `POST /state` | what the log is: id, role, epochs, end |
 * | `POST /read` | a page, for reads that a follower is too old for |
 * | `POST /give-way` | takes no appends from then on |
 *
 * @throws `BANYAN_UNSUPPORTED` if the log cannot be followed
 */
export function followersOverHttp(log: EventLog, options: FollowersHttpOptions = {}): HttpHandler {
  checkOptions('followersOverHttp', OPTIONS, options)
  const { runtime = systemRuntime, closing = new AbortController().signal, onPull } = options
  const leader = leaderOf(log, runtime.clock)
  return async (request) => {
    try {
      return await answer(request, leader, closing, onPull)
    } catch (error) {
      const found = problemOf(error, true)
      if (!found) throw error
      const code = error instanceof BanyanError ? { code: error.code } : {}
      return { problem: { ...found, extensions: { ...found.extensions, ...code } } }
    }
  }
}

async function answer(
  request: HandlerRequest,
  leader: Leader,
  closing: AbortSignal,
  onPull: FollowersHttpOptions['onPull'],
): Promise<HandlerAnswer> {
  if (request.method !== 'POST')
    throw problem(405, 'method-not-allowed', `${request.method} is not allowed here.`, {
      fields: [['Allow', 'POST']],
    })
  const signal = AbortSignal.any([request.signal, closing])
  switch (request.path) {
    case '/state':
      return json(JSON.stringify(await leader.state(signal)))
    case '/pull': {
      const asked = await bodyOf<PullRequest>(request, ['after', 'epochs', 'truncation', 'limit', 'wait'])
      onPull?.(asked, request)
      return json(
        packPulled(await leader.pull({ ...asked, wait: Math.min(asked.wait, LONGEST_WAIT) }, signal)),
      )
    }
    case '/read':
      return json(packPage(await leader.read(await bodyOf<Query>(request, ['after', 'limit']), signal)))
    case '/give-way': {
      const asked = await bodyOf<GiveWayRequest>(request, ['log', 'epoch', 'to', 'id'])
      return json(JSON.stringify(await leader.giveWay(asked, signal)))
    }
  }
  throw problem(404, 'not-found', 'There is nothing here. Followers ask /pull, /state, /read and /give-way.')
}

async function bodyOf<Body>(
  request: HandlerRequest,
  needed: readonly (keyof Body & string)[],
): Promise<Body> {
  const text = (await request.body(BODY_BYTES)).toString()
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    throw problem(400, 'invalid-json', 'The body is no JSON.')
  }
  if (typeof body === 'object' && body !== null) {
    const missing = needed.find((name) => !(name in body))
    if (missing === undefined) return body as Body
  }
  throw problem(400, 'invalid-request', `The body must be an object with ${needed.join(', ')}.`)
}

function json(text: string): HandlerAnswer {
  return {
    status: 200,
    fields: [
      ['Content-Type', 'application/json'],
      ['Cache-Control', 'no-store'],
    ],
    body: Buffer.from(text),
  }
}
