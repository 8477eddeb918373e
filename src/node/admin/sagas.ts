import type { IncomingMessage } from 'node:http'
import { BanyanError } from '../../core/errors.js'
import { checkOptions, type OptionKinds } from '../../core/options.js'
import { problemOf } from '../../events/http/problem.js'
import { mustBeKnown } from '../../events/saga/description.js'
import { sagas, type Asker, type ListedSaga, type ListOptions, type Sagas } from '../../events/saga/index.js'
import { SAGA_STATUSES, type SagaStatus } from '../../events/saga/status.js'
import type { EventLog } from '../../events/log.js'
import type { SagaStarter } from '../sagas/state.js'
import {
  json,
  notAllowed,
  problem,
  queryOf,
  readBytes,
  refuseUnknown,
  signalOf,
  type Reply,
} from './reply.js'
import { sagaStream } from './saga-stream.js'
import { wantsStream } from './status-stream.js'

const BASE = '/api/sagas'

const BODY_BYTES = 1024 * 1024

const LARGEST_LIST = 1000

const actor = { kind: 'string', doc: 'who asks' } as const
const reason = { kind: 'string', doc: 'why' } as const

/** What can be asked of a saga, and what the body may say. */
const REQUESTS = {
  retry: { reason, actor },
  skip: { reason, actor },
  cancel: { reason, actor },
  signal: {
    name: { kind: 'string', doc: 'which signal' },
    id: { kind: 'string', doc: 'of this giving' },
    actor,
  },
} as const satisfies Record<string, OptionKinds>

type What = keyof typeof REQUESTS

/** What in the body may be any JSON. */
const VALUES: Readonly<Partial<Record<What, string>>> = { skip: 'result', signal: 'payload' }

/** What a start may say. */
const START: OptionKinds = {
  id: { kind: 'string', doc: 'what tells it from others' },
  metadata: { kind: 'code', type: 'object', doc: 'kept with its first event' },
}

/** What is there to be asked. */
interface Subject {
  readonly log: EventLog
  /** Aborts when those who follow are to come back elsewhere. */
  readonly closing: AbortSignal
}

/**
 * Answers `/api/sagas` and what is below it; `{name}/{id}` is the id of a saga, percent-encoded behind its first slash:
 *
 * | request | answer |
 * |---|---|
 * | `GET /api/sagas?saga={name}&status={status}&limit={n}&before={cursor}` | sagas, the last that were started first |
 * | `GET /api/sagas/{name}` | those of a name |
 * | `GET /api/sagas/{name}/{id}` | everything about one |
 * | the same with `Accept: text/event-stream` | what happens to them, as Server-Sent Events; `from` begins earlier |
 * | `POST /api/sagas/{name}` | `{ "input"?, "id"?, "metadata"? }`: starts one: 201, or 200 if it had been started before |
 * | `POST /api/sagas/{name}/{id}/retry`, `.../cancel` | `{ "reason"?, "actor"? }` |
 * | `POST /api/sagas/{name}/{id}/skip` | `{ "result"?, "reason"?, "actor"? }` |
 * | `POST /api/sagas/{name}/{id}/signal` | `{ "name", "payload"?, "id"?, "actor"? }` |
 *
 * @param starter - the sagas that the node itself runs
 */
export async function sagasReply(
  request: IncomingMessage,
  path: string,
  events: Subject | undefined,
  starter: SagaStarter | undefined,
): Promise<Reply> {
  if (!events) return problem(404, 'This node hosts no event log: its configuration has no `events`.')
  try {
    return await answer(request, path.slice(BASE.length), events, starter)
  } catch (error) {
    return refusal(error)
  }
}

async function answer(
  request: IncomingMessage,
  below: string,
  events: Subject,
  starter: SagaStarter | undefined,
): Promise<Reply> {
  const [, name = '', own, what, ...rest] = below.split('/').map(decodeURIComponent)
  if (rest.length > 0 || own === '') return nothingHere()
  const manage = sagas(events.log)
  if (what !== undefined) {
    if (!Object.hasOwn(REQUESTS, what)) return nothingHere()
    if (request.method !== 'POST') return notAllowed('POST')
    return ask(request, manage, `${name}/${own!}`, what as What)
  }
  if (request.method === 'POST' && name !== '' && own === undefined)
    return start(request, name, starter ?? manage)
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return notAllowed(name !== '' && own === undefined ? 'GET, HEAD, POST' : 'GET, HEAD')
  const which = { ...(name !== '' && { saga: name }), ...(own !== undefined && { id: `${name}/${own}` }) }
  if (wantsStream(request)) return sagaStream(request, manage, which, events.closing)
  return own === undefined ? list(request, manage, events.log, which.saga) : show(request, manage, which.id!)
}

async function show(request: IncomingMessage, manage: Sagas, id: string): Promise<Reply> {
  return refuseUnknown(queryOf(request), []) ?? json(200, await manage.show(id))
}

async function list(
  request: IncomingMessage,
  manage: Sagas,
  log: EventLog,
  name: string | undefined,
): Promise<Reply> {
  const query = queryOf(request)
  const known = [...(name === undefined ? ['saga'] : []), 'status', 'limit', 'before']
  const refused = refuseUnknown(query, known)
  if (refused) return refused
  const limit = Number(query.get('limit') ?? 50)
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_LIST)
    return problem(400, `\`limit\` must be a whole number from 1 to ${LARGEST_LIST}.`)
  const status = query.get('status')
  if (status !== null && !(SAGA_STATUSES as readonly string[]).includes(status))
    return problem(400, `\`status\` must be one of ${SAGA_STATUSES.join(', ')}.`)
  const [saga, before] = [name ?? query.get('saga'), query.get('before')]
  const options: ListOptions = {
    limit: limit + 1,
    signal: signalOf(request),
    ...(saga !== null && { saga }),
    ...(status !== null && { status: status as SagaStatus }),
    ...(before !== null && { before }),
  }
  const found: ListedSaga[] = []
  for await (const one of manage.list(options)) found.push(one)
  if (found.length === 0 && saga !== null) await mustBeKnown(log, saga)
  const page = found.slice(0, limit)
  const next = found.length > limit ? page.at(-1)!.cursor : undefined
  return json(200, { sagas: page, ...(next !== undefined && { next }) })
}

async function start(request: IncomingMessage, name: string, starter: SagaStarter): Promise<Reply> {
  const { input, ...options } = await bodyOf(request)
  checkOptions<Record<string, unknown>>('the body', START, options)
  const started = await starter.start(name, input, options)
  const [, own] = /^[^/]*\/(.*)$/s.exec(started.id)!
  return {
    ...json(started.duplicate ? 200 : 201, started),
    headers: { Location: `${BASE}/${name}/${encodeURIComponent(own!)}` },
  }
}

async function ask(request: IncomingMessage, manage: Sagas, id: string, what: What): Promise<Reply> {
  const body = await bodyOf(request)
  const { [VALUES[what] ?? '']: value, ...options } = body
  checkOptions<Record<string, unknown>>('the body', REQUESTS[what], options)
  if (what === 'signal') {
    const { name, ...by } = options as { name?: string; id?: string; actor?: string }
    if (name === undefined || name === '')
      return problem(400, 'the body: name is missing: which signal is it?')
    await manage.signal(id, name, value, by)
  } else if (what === 'skip')
    await manage.skip(id, { ...(options as Asker), ...(value !== undefined && { result: value }) })
  else await manage[what](id, options)
  return json(202, { id })
}

/** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown>> {
  const text = (await readBytes(request, BODY_BYTES)).toString()
  let value: unknown
  try {
    value = JSON.parse(text.trim() === '' ? '{}' : text)
  } catch {
    value = undefined
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value))
    return value as Record<string, unknown>
  throw new BanyanError('BANYAN_INVALID_OPTIONS', 'the body must be a JSON object')
}

/** How an error of the events plane is told. */
export function refusal(error: unknown): Reply {
  if (error instanceof URIError) return problem(400, 'The path is not percent-encoded as it must be.')
  if (!(error instanceof BanyanError)) throw error
  if (error.code === 'BANYAN_INVALID_OPTIONS') return problem(400, `${error.message}.`)
  const found = problemOf(error, true)
  if (!found) throw error
  return problem(found.status, found.detail, { type: `urn:banyan:problem:${found.kind}`, code: error.code })
}

function nothingHere(): Reply {
  return problem(
    404,
    `There is nothing here. Try ${BASE}, ${BASE}/{name}, ${BASE}/{name}/{id}, or POST to ${BASE}/{name}, ${Object.keys(
      REQUESTS,
    )
      .map((what) => `${BASE}/{name}/{id}/${what}`)
      .join(', ')}.`,
  )
}
