import type { IncomingMessage } from 'node:http'
import { parseDuration, type Duration } from '../../core/duration.js'
import { BanyanError } from '../../core/errors.js'
import type { HostedCoordinator } from '../coordination/hosted-coordinator.js'
import type { CoordinationActions } from '../coordination/operations.js'
import type { ViewName } from '../coordination/views.js'
import { json, notAllowed, problem, queryOf, readBytes, refuseUnknown, type Reply } from './reply.js'
import { statusStream, wantsStream } from './status-stream.js'

const PATH = /^\/api\/(elections|locks|semaphores|jobs|registry)(?:\/(.*))?$/
const BODY_BYTES = 64 * 1024

/** Who is said to have asked, if nobody says who. */
const UNNAMED = 'an operator'

/** Whether a path is one of those that are answered here. */
export function isCoordinationPath(path: string): boolean {
  return PATH.test(path)
}

/** What a body may have, and of which type. */
type Fields = Readonly<Record<string, 'text' | 'number' | 'duration'>>

interface Action {
  readonly fields: Fields
  /** How many names its path has, unless it is one. */
  readonly names?: number
  do(actions: CoordinationActions, names: readonly string[], given: Given): Promise<object>
}

interface Given {
  readonly by: string
  readonly to?: string
  readonly token?: number
  readonly for?: Duration
}

const ACTIONS: Readonly<Record<string, Action>> = {
  'elections/hand-over': {
    fields: { to: 'text', by: 'text' },
    do: async (actions, [name = ''], { to, by }) => ({
      name,
      asked: await actions.handOver(name, { by, ...(to !== undefined && { to }) }),
    }),
  },
  'locks/release': {
    fields: { token: 'number' },
    do: async (actions, [name = ''], { token }) => ({
      name,
      released: await actions.release(name, token === undefined ? {} : { token }),
    }),
  },
  'registry/drain': {
    fields: { for: 'duration', by: 'text' },
    names: 2,
    do: async (actions, [name = '', id = ''], { by, for: time }) => ({
      name,
      asked: await actions.drain(name, id, { by, ...(time !== undefined && { for: time }) }),
    }),
  },
  ...Object.fromEntries(
    (['run', 'pause', 'resume'] as const).map((action) => [
      `jobs/${action}`,
      {
        fields: { by: 'text' },
        async do(actions: CoordinationActions, [name = '']: readonly string[], { by }: Given) {
          await actions.changeJob(name, action, { by })
          return { name }
        },
      },
    ]),
  ),
}

/**
 * Answers what operators ask of the coordinator; `{part}` is `elections`, `locks`, `semaphores`, `jobs` or `registry`:
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
  if (more.length > 0) return nothingHere(part)
  const refused = refuseUnknown(queryOf(request), [])
  if (refused) return refused
  const views = hosted.views
  if (name === undefined)
    return wantsStream(request)
      ? statusStream(request, views.watch(part), undefined, hosted.closing)
      : json(200, { [part]: await views.list(part) })
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
  const given = givenIn((await readBytes(request, BODY_BYTES)).toString(), action.fields)
  if (typeof given === 'string') return problem(400, given)
  // What is asked for is done by others, when they see it.
  return json(part === 'locks' ? 200 : 202, await action.do(hosted.actions, path.slice(0, -1), given))
}

/** What a body says, or what is wrong with it. */
function givenIn(text: string, fields: Fields): Given | string {
  let given: unknown
  try {
    given = text.trim() === '' ? {} : JSON.parse(text)
  } catch {
    return 'The body must be JSON.'
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given))
    return 'The body must be an object of JSON.'
  for (const [name, value] of Object.entries(given as Record<string, unknown>)) {
    const kind = Object.hasOwn(fields, name) ? fields[name] : undefined
    if (!kind) return `Unknown: ${name}; known are ${Object.keys(fields).join(', ')}.`
    if (kind === 'text' && (typeof value !== 'string' || value === '')) return `\`${name}\` must be text.`
    if (kind === 'number' && !Number.isInteger(value)) return `\`${name}\` must be a whole number.`
    if (kind === 'duration' && parseDuration(value) === undefined)
      return `\`${name}\` must be a duration such as "10s".`
  }
  return { by: UNNAMED, ...given }
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
