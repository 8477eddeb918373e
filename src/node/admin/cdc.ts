import type { IncomingMessage } from 'node:http'
import { BanyanError } from '../../core/errors.js'
import { problemOf } from '../../events/http/problem.js'
import type { ParkedSelection } from '../../events/index.js'
import type { CaptureControl, HostedCaptureState } from '../cdc/state.js'
import { json, listOf, notAllowed, problem, readBytes, type Reply } from './reply.js'
import { statusStream, wantsStream, type StatusWatch } from './status-stream.js'

const BASE = '/api/cdc'
const LARGEST_LIST = 1000
const BODY_BYTES = 64 * 1024
const NOTHING = `There is nothing here. Try ${BASE}, ${BASE}/{name}, ${BASE}/{name}/parked, or POST to ${BASE}/{name}/resnapshot, ${BASE}/{name}/retry, ${BASE}/{name}/discard.`

/** What is there to be asked. */
interface Subject {
  readonly control: CaptureControl
  readonly watch: StatusWatch<HostedCaptureState>
  /** Aborts when those who follow are to come back elsewhere. */
  readonly closing: AbortSignal
}

/**
 * Answers `/api/cdc` and what is below it:
 *
 * | request | answer |
 * |---|---|
 * | `GET /api/cdc` | every capture: what it does, how far it is, what is wrong |
 * | `GET /api/cdc/{name}` | one of them |
 * | both with `Accept: text/event-stream` | what becomes of them, as Server-Sent Events: see {@link statusStream} |
 * | `GET /api/cdc/{name}/parked?after={position}&limit={n}` | rows that are parked, with why |
 * | `POST /api/cdc/{name}/resnapshot` | takes a new snapshot: 202, and it begins |
 * | `POST /api/cdc/{name}/retry` | tries what is parked again |
 * | `POST /api/cdc/{name}/discard` | `{ "id": of a parked row }` or `{ "table": name, "key": { column: value } }`: throws it away for good |
 */
export async function captureReply(
  request: IncomingMessage,
  path: string,
  subject: Subject | undefined,
): Promise<Reply> {
  if (!subject) return problem(404, 'This node captures nothing: its configuration has no `cdc`.')
  try {
    return await answer(request, path.slice(BASE.length), subject)
  } catch (error) {
    return refusal(error)
  }
}

async function answer(request: IncomingMessage, below: string, subject: Subject): Promise<Reply> {
  const { control } = subject
  const [, name, what, ...rest] = below.split('/').map(decodeURIComponent)
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  if (rest.length > 0) return problem(404, NOTHING)
  if (name === undefined || name === '') return isRead ? all(request, subject) : notAllowed('GET, HEAD')
  switch (what) {
    case undefined:
      return isRead ? one(request, name, subject) : notAllowed('GET, HEAD')
    case 'parked':
      return isRead ? parked(request, name, control) : notAllowed('GET, HEAD')
    case 'resnapshot':
      if (request.method !== 'POST') return notAllowed('POST')
      await control.resnapshot(name)
      return json(202, { name })
    case 'retry':
      if (request.method !== 'POST') return notAllowed('POST')
      return json(200, { name, ...(await control.retry(name)) })
    case 'discard':
      return request.method === 'POST' ? discard(request, name, control) : notAllowed('POST')
    default:
      return problem(404, NOTHING)
  }
}

async function all(request: IncomingMessage, { control, watch, closing }: Subject): Promise<Reply> {
  if (wantsStream(request)) return statusStream(request, watch, undefined, closing)
  return json(200, { captures: await control.list() })
}

async function one(
  request: IncomingMessage,
  name: string,
  { control, watch, closing }: Subject,
): Promise<Reply> {
  const all = await control.list()
  const found = all.find((each) => each.name === name)
  if (found) return wantsStream(request) ? statusStream(request, watch, name, closing) : json(200, found)
  return problem(404, `There is no capture \`${name}\`${listOf(all.map((each) => each.name))}`)
}

async function parked(request: IncomingMessage, name: string, control: CaptureControl): Promise<Reply> {
  const query = new URLSearchParams((request.url ?? '').split('?')[1] ?? '')
  const unknown = [...query.keys()].find((key) => !['after', 'limit'].includes(key))
  if (unknown !== undefined) return problem(400, `Unknown parameter \`${unknown}\`; known are after, limit.`)
  const limit = Number(query.get('limit') ?? 100)
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_LIST)
    return problem(400, `\`limit\` must be a whole number from 1 to ${LARGEST_LIST}.`)
  const rows = await control.parked(name, query.get('after') ?? undefined, limit)
  const next = rows.length === limit ? rows.at(-1)!.position : undefined
  return json(200, { name, parked: rows, ...(next !== undefined && { next }) })
}

async function discard(request: IncomingMessage, name: string, control: CaptureControl): Promise<Reply> {
  let which: unknown
  try {
    which = JSON.parse((await readBytes(request, BODY_BYTES)).toString())
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  if (typeof which !== 'object' || which === null)
    return problem(
      400,
      'The body must be JSON: { "id": of the parked row } or { "table": name, "key": { column: value } }.',
    )
  const done = await control.discard(name, which as ParkedSelection)
  return done.discarded > 0
    ? json(200, { name, ...done })
    : problem(404, `No such row of ${name} is parked; ${BASE}/${name}/parked tells which are.`)
}

/** What an error of a capture is told as. */
function refusal(error: unknown): Reply {
  if (error instanceof URIError) return problem(400, 'The path is not percent-encoded as it must be.')
  const found = error instanceof BanyanError ? problemOf(error, true) : undefined
  if (!found) throw error
  return problem(found.status, found.detail, {
    type: `urn:banyan:problem:${found.kind}`,
    code: (error as BanyanError).code,
  })
}
