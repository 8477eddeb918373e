import type { IncomingMessage } from 'node:http'
import { problemOf } from '../../events/http/problem.js'
import type { OutboxControl, OutboxState } from '../outboxes/state.js'
import { decoded, json, listOf, notAllowed, problem, readBytes, type Reply } from './reply.js'
import { statusStream, wantsStream, type StatusWatch } from './status-stream.js'

const BASE = '/api/outboxes'
const BODY_BYTES = 64 * 1024

/** What is there to be asked. */
interface Subject {
  readonly control: OutboxControl
  readonly watch: StatusWatch<OutboxState>
  /** Aborts when those who follow are to come back elsewhere. */
  readonly closing: AbortSignal
}

/**
 * Answers `/api/outboxes` and what is below it:
 *
 * | request | answer |
 * |---|---|
 * | `GET /api/outboxes` | outboxes that this node relays: what waits, how long, which lanes are parked and why |
 * | `GET /api/outboxes/{name}` | one of them |
 * | both with `Accept: text/event-stream` | what becomes of them, as Server-Sent Events: see {@link statusStream} |
 * | `POST /api/outboxes/{name}/redrive` | `{ "lanes": [name] }` or `{ "all": true }`: tells which go on |
 * | `POST /api/outboxes/{name}/discard` | `{ "id": of a parked message, "lane": its lane, if needed }`: removes it for good |
 */
export async function outboxesReply(
  request: IncomingMessage,
  path: string,
  subject: Subject | undefined,
): Promise<Reply> {
  if (!subject) return problem(404, 'This node relays no outboxes: its configuration has no `outboxes`.')
  try {
    return await reply(request, path.slice(BASE.length), subject)
  } catch (error) {
    const known = problemOf(error, true)
    if (!known) throw error
    return problem(known.status, known.detail, { type: `urn:banyan:problem:${known.kind}` })
  }
}

async function reply(
  request: IncomingMessage,
  below: string,
  { control, watch, closing }: Subject,
): Promise<Reply> {
  const [, encoded = '', what, ...rest] = below.split('/')
  const name = decoded(encoded)
  if (name === undefined) return problem(400, 'The name of the outbox is not percent-encoded as it must be.')
  if (rest.length > 0 || (what !== undefined && what !== 'redrive' && what !== 'discard'))
    return problem(
      404,
      'There is nothing here. Try /api/outboxes, /api/outboxes/{name}, and below that /redrive or /discard.',
    )
  if (what !== undefined)
    return request.method === 'POST' ? act(request, name, what, control) : notAllowed('POST')
  if (request.method !== 'GET' && request.method !== 'HEAD') return notAllowed('GET, HEAD')
  const outboxes = await control.list()
  const found = outboxes.find((each) => each.name === name)
  if (name !== '' && !found) return unknown(name, outboxes)
  if (wantsStream(request)) return statusStream(request, watch, found?.name, closing)
  return json(200, found ?? { outboxes })
}

async function act(
  request: IncomingMessage,
  name: string,
  what: 'redrive' | 'discard',
  control: OutboxControl,
): Promise<Reply> {
  const { lanes, all, id, lane, ...rest } = await bodyOf(request)
  const isAlone = Object.keys(rest).length === 0
  if (what === 'discard') {
    const isLane = lane === undefined || typeof lane === 'string'
    if (typeof id !== 'string' || !isLane || lanes !== undefined || all !== undefined || !isAlone)
      return problem(
        400,
        'The body must be JSON: { "id": of the parked message }, or { "id": ..., "lane": its lane }.',
      )
    const isGone = await control.discard(name, id, lane)
    if (isGone === undefined) return unknown(name, await control.list())
    return isGone
      ? json(200, { discarded: id })
      : problem(404, `No message ${id} is parked in the outbox ${name}.`)
  }
  const isRight = all === true ? lanes === undefined : all === undefined && isNames(lanes)
  if (!isRight || id !== undefined || lane !== undefined || !isAlone)
    return problem(400, 'The body must be JSON: { "lanes": [name, ...] } or { "all": true }.')
  const moved = await control.redrive(name, all === true ? 'all' : (lanes as string[]))
  return moved ? json(200, { lanes: moved }) : unknown(name, await control.list())
}

function unknown(name: string, outboxes: readonly { name: string }[]): Reply {
  return problem(404, `There is no outbox \`${name}\`${listOf(outboxes.map((each) => each.name))}`)
}

/** The object in the body; an empty one for what is none. */
async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse((await readBytes(request, BODY_BYTES)).toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch (error) {
    if (error instanceof SyntaxError) return {}
    throw error
  }
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string')
}
