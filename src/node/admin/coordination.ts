import type { IncomingMessage } from 'node:http'
import { BanyanError } from '../../core/errors.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import { heatOfMap } from '../coordination/shard-heat.js'
import type { ViewName } from '../coordination/views.js'
import { ACTIONS, givenIn } from './coordination-actions.js'
import { json, notAllowed, problem, queryOf, readBytes, refuseUnknown, type Reply } from './reply.js'
import { statusStream, wantsStream } from './status-stream.js'

const PATH = /^\/api\/(elections|locks|semaphores|jobs|registry|shards|data-shards)(?:\/(.*))?$/
const BODY_BYTES = 64 * 1024

/** Whether a path is one of those that are answered here. */
export function isCoordinationPath(path: string): boolean {
  return PATH.test(path)
}

/**
 * Answers what operators ask of the coordinator; `{part}` is `elections`, `locks`, `semaphores`, `jobs`, `registry`,
 * `shards` or `data-shards`:
 *
 * | request | answer |
 * |---|---|
 * | `GET /api/{part}` | all of them: `{ [part]: [...] }` |
 * | `GET /api/{part}/{name}` | one, with its past |
 * | both with `Accept: text/event-stream` | what becomes of them, as Server-Sent Events: see {@link statusStream} |
 * | `POST /api/elections/{name}/hand-over` | `{ "to"?: holder, "by"?: text }`: asks who leads to hand over: 202 |
 * | `POST /api/locks/{name}/release` | `{ "token"?: number }`: takes it away from who holds it |
 * | `POST /api/jobs/{name}/run`, `.../pause`, `.../resume` | `{ "by"?: text }` |
 * | `POST /api/registry/{service}/{id}/drain` | `{ "for"?: duration, "by"?: text }`: asks an instance to leave: 202 |
 * | `GET /api/shards/{name}/heat` | where the load of a shard map is, what is too hot, and what helps |
 * | `POST /api/shards/{name}/plan` | `{ "add"?: { worker: weight }, "remove"?: [worker], "weights"?: { worker: weight } }`: what would move |
 * | `POST /api/shards/{name}/move` | `{ "bucket": text, "to": worker, "replace"?: true, "by"?: text }`: 202 |
 * | `POST /api/shards/{name}/split`, `.../merge`, `.../unpin` | `{ "bucket": text, "by"?: text }`: 202 |
 * | `POST /api/shards/{name}/pause`, `.../resume` | `{ "by"?: text }`: 202 |
 * | `POST /api/shards/{name}/drain` | `{ "worker": text, "undo"?: true, "by"?: text }`: 202 |
 * | `POST /api/shards/{name}/forget` | removes a map that nobody works for |
 * | `POST /api/data-shards/{name}/plan` | `{ "add"?: { shard: weight }, "remove"?: [shard], "group"?: number }`: what would move |
 * | `POST /api/data-shards/{name}/move` | `{ "buckets": [number], "to": shard }` or `{ "even": true, "remove"?: [shard] }`, `"group"?`: 202, and the moves |
 * | `POST /api/data-shards/{name}/pause`, `.../resume`, `.../abort`, `.../reverse`, `.../drop` | `{ "moves": [id] }` or `{ "all": true }`: 202 |
 * | `POST /api/data-shards/{name}/remove` | `{ "database": shard }`: takes one without buckets out of the map |
 */
export async function coordinationReply(
  request: IncomingMessage,
  path: string,
  hosted: HostedCoordinator | undefined,
): Promise<Reply> {
  if (!hosted)
    return problem(404, 'This node has no coordinator: its configuration has no `coordination`.', {
      code: 'BANYAN_COORDINATOR_UNAVAILABLE',
    })
  try {
    return await answer(request, path, hosted)
  } catch (error) {
    return refusal(error)
  }
}

async function answer(request: IncomingMessage, path: string, hosted: HostedCoordinator): Promise<Reply> {
  const [, part, below = ''] = PATH.exec(path) as unknown as [string, ViewName, string?]
  const names = below === '' ? [] : below.split('/').map(decodeURIComponent)
  if (request.method === 'POST') return act(request, part, names, hosted)
  if (request.method !== 'GET' && request.method !== 'HEAD') return notAllowed('GET, HEAD, POST')
  const [name, ...more] = names
  const isHeat = part === 'shards' && more.length === 1 && more[0] === 'heat'
  if (more.length > 0 && !isHeat) return nothingHere(part)
  const refused = refuseUnknown(queryOf(request), [])
  if (refused) return refused
  const views = hosted.views
  if (name === undefined)
    return wantsStream(request)
      ? statusStream(request, views.watch(part), undefined, hosted.closing)
      : json(200, { [part]: await views.list(part) })
  if (isHeat) return json(200, heatOfMap(await views.detail('shards', name)))
  const found = await views.detail(part, name)
  return wantsStream(request)
    ? statusStream(request, views.watchOne(part, name), name, hosted.closing)
    : json(200, found)
}

async function act(
  request: IncomingMessage,
  part: ViewName,
  path: readonly string[],
  hosted: HostedCoordinator,
): Promise<Reply> {
  const action = Object.hasOwn(ACTIONS, `${part}/${path.at(-1)}`) && ACTIONS[`${part}/${path.at(-1)}`]
  if (!action || path.length !== (action.names ?? 1) + 1) return nothingHere(part)
  const given = givenIn((await readBytes(request, BODY_BYTES)).toString(), action)
  if (typeof given === 'string') return problem(400, given, { code: 'BANYAN_INVALID_OPTIONS' })
  return json(action.later ? 202 : 200, await action.do(hosted.actions, path.slice(0, -1), given))
}

function nothingHere(part: ViewName): Reply {
  const posts = Object.keys(ACTIONS)
    .filter((each) => each.startsWith(`${part}/`))
    .map(
      (each) =>
        `/api/${part}/{name}/${ACTIONS[each]?.names === 2 ? '{id}/' : ''}${each.slice(part.length + 1)}`,
    )
  return problem(
    404,
    `There is nothing here. Try /api/${part}, /api/${part}/{name}${posts.length > 0 ? `, or POST to ${posts.join(', ')}` : ''}.`,
  )
}

/** Statuses of errors that are no mistakes of who asks. */
const STATUSES: Readonly<Record<string, number>> = {
  BANYAN_NOT_LEADER: 409,
  BANYAN_NO_CANDIDATE: 409,
  BANYAN_SHARD_MOVING: 409,
  BANYAN_SHARD_IN_USE: 409,
  BANYAN_SHARD_MAP_BUSY: 409,
  BANYAN_MOVE_STEP: 409,
  BANYAN_COORDINATOR_UNAVAILABLE: 503,
  BANYAN_OUTCOME_UNKNOWN: 503,
  BANYAN_COORDINATOR_CLOSED: 503,
  BANYAN_COORDINATOR_FORMAT: 500,
  BANYAN_COORDINATOR_CORRUPT: 500,
}

function refusal(error: unknown): Reply {
  if (error instanceof URIError) return problem(400, 'The path is not percent-encoded as it must be.')
  if (!(error instanceof BanyanError)) throw error
  const status = STATUSES[error.code] ?? (error.code.endsWith('_UNKNOWN') ? 404 : 400)
  return problem(status, error.message, { code: error.code })
}
