import type { IncomingMessage } from 'node:http'
import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import { NodeFault } from '../../coordination/replication/node.js'
import { problemOf } from '../../events/http/problem.js'
import type { HostedReplicasState, PromoteRequest, ReplicaControl } from '../replicas/state.js'
import { json, listOf, notAllowed, problem, queryOf, readBytes, refuseUnknown, type Reply } from './reply.js'
import { statusStream, wantsStream, type StatusWatch } from './status-stream.js'

const BASE = '/api/replicas'
const BODY_BYTES = 64 * 1024

/** What is there to be asked. */
interface Subject {
  readonly control: ReplicaControl
  readonly watch: StatusWatch<HostedReplicasState>
  /** Aborts when those who follow are to come back elsewhere. */
  readonly closing: AbortSignal
}

/**
 * Answers `/api/replicas` and what is below it; the event log goes by `events`:
 *
 * | request | answer |
 * |---|---|
 * | `GET /api/replicas` | all of them: `{ replicas: [...] }` |
 * | `GET /api/replicas/{name}` | one |
 * | both with `Accept: text/event-stream` | what becomes of them, as Server-Sent Events: see {@link statusStream} |
 * | `POST /api/replicas/{name}/promote` | `{ "to"?: server, "force"?: boolean }`: makes a leader of a follower, and tells what was lost |
 */
export async function replicasReply(
  request: IncomingMessage,
  path: string,
  subject: Subject | undefined,
): Promise<Reply> {
  if (!subject)
    return problem(
      404,
      'This node has no replicas: its configuration has no `replicas`, and no event log that is copied this way.',
    )
  try {
    return await answer(request, path.slice(BASE.length), subject)
  } catch (error) {
    return refusal(error)
  }
}

async function answer(request: IncomingMessage, below: string, subject: Subject): Promise<Reply> {
  const [, name, what, ...more] = below.split('/').map(decodeURIComponent)
  if (more.length > 0 || (what !== undefined && what !== 'promote'))
    return problem(
      404,
      `There is nothing here. Try ${BASE}, ${BASE}/{name}, or POST to ${BASE}/{name}/promote.`,
    )
  if (what === 'promote')
    return request.method === 'POST' ? promote(request, name!, subject) : notAllowed('POST')
  if (request.method !== 'GET' && request.method !== 'HEAD') return notAllowed('GET, HEAD')
  const refused = refuseUnknown(queryOf(request), [])
  if (refused) return refused
  const { control, watch, closing } = subject
  const all = await control.list()
  if (name === undefined || name === '')
    return wantsStream(request)
      ? statusStream(request, watch, undefined, closing)
      : json(200, { replicas: all })
  const found = all.find((each) => each.name === name)
  if (!found) return unknown(name, all)
  return wantsStream(request) ? statusStream(request, watch, name, closing) : json(200, found)
}

async function promote(request: IncomingMessage, name: string, { control }: Subject): Promise<Reply> {
  const all = await control.list()
  const found = all.find((each) => each.name === name)
  if (!found) return unknown(name, all)
  const wish = wishIn((await readBytes(request, BODY_BYTES)).toString())
  if (typeof wish === 'string') return problem(400, wish)
  if (wish.to !== undefined && found.kind === 'log')
    return problem(
      400,
      '`to` is about servers of a database; the event log is promoted at the node that has the copy.',
    )
  return json(200, { name, ...(await control.promote(name, wish)) })
}

/** What a body says, or what is wrong with it. */
function wishIn(text: string): PromoteRequest | string {
  let given: unknown
  try {
    given = text.trim() === '' ? {} : JSON.parse(text)
  } catch {
    return 'The body must be JSON.'
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    return 'The body must be an object of JSON.'
  const { to, force, ...rest } = given as Record<string, unknown>
  const [stranger] = Object.keys(rest)
  if (stranger !== undefined) return `Unknown: ${stranger}; known are to, force.`
  if (to !== undefined && (typeof to !== 'string' || to === '')) return '`to` must be text.'
  if (force !== undefined && typeof force !== 'boolean') return '`force` must be true or false.'
  return given
}

function unknown(name: string, all: readonly HostedReplicasState[]): Reply {
  const names = all.map((each) => each.name)
  const near = suggest(name, names)
  const hint = near === undefined ? listOf(names) : `, did you mean \`${near}\`?`
  return problem(404, `There are no replicas \`${name}\`${hint}`, { code: 'BANYAN_REPLICAS_UNKNOWN' })
}

/** Statuses of errors that are neither mistakes of who asks nor of the event log. */
const STATUSES: Readonly<Record<string, number>> = {
  BANYAN_PROMOTION_REFUSED: 409,
  BANYAN_REPLICAS_CLOSED: 503,
  BANYAN_LEADER_UNKNOWN: 503,
  BANYAN_REPLICA_LOST: 503,
  BANYAN_COORDINATOR_UNAVAILABLE: 503,
  BANYAN_COORDINATOR_CLOSED: 503,
  BANYAN_OUTCOME_UNKNOWN: 503,
}

function refusal(error: unknown): Reply {
  if (error instanceof URIError) return problem(400, 'The path is not percent-encoded as it must be.')
  if (!(error instanceof Error)) throw error
  const { code } = error as { code?: string }
  if (!(error instanceof BanyanError)) {
    // What a server of a database refuses, such as a right that is missing; pg calls those `error`.
    if (!(error instanceof NodeFault) && error.name !== 'error') throw error
    return problem(502, error.message)
  }
  const status = STATUSES[error.code] ?? problemOf(error, true)?.status ?? 400
  return problem(status, error.message, { code })
}
