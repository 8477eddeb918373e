import type { IncomingMessage } from 'node:http'
import { checkOptions, type OptionKinds } from '../../core/options.js'
import { BanyanError } from '../../core/errors.js'
import { problemOf } from '../../events/http/problem.js'
import type { ProjectionControl } from '../projections/state.js'
import { json, listOf, notAllowed, problem, readBody, type Reply } from './reply.js'

const BASE = '/api/projections'

/** Most bytes of a request body. */
const BODY_BYTES = 64 * 1024

const LARGEST_LIST = 1000

const version = { kind: 'number', min: 1, integer: true, doc: 'which version' } as const
const force = { kind: 'boolean', doc: 'does what is refused otherwise' } as const
const timeout = { kind: 'duration', doc: 'how long to wait for it' } as const

/** What can be asked for, and what the body may say. */
const ACTIONS = {
  rebuild: { version, switch: { kind: 'boolean', doc: 'reads it when it is built' }, force },
  switch: { version, force, timeout },
  undo: { force, timeout },
  drop: { version, force },
  redrive: { version, key: { kind: 'string', doc: 'only of this key' } },
} as const satisfies Record<string, OptionKinds>

type Action = keyof typeof ACTIONS

/** A body that was checked against the table of its action. */
type Body = Partial<{ version: number; switch: boolean; force: boolean; timeout: string; key: string }>

/**
 * Answers `/api/projections` and what is below it:
 *
 * | request | answer |
 * |---|---|
 * | `GET /api/projections` | every projection with its versions: what the store has, and what this node does |
 * | `GET /api/projections/{name}` | one of them |
 * | `GET /api/projections/{name}/parked?version={n}&after={position}&limit={n}` | events that are parked, with why |
 * | `POST /api/projections/{name}/rebuild` | `{ "version"?, "switch"?, "force"? }`: begins to build a version: 202 |
 * | `POST /api/projections/{name}/switch` | `{ "version", "force"?, "timeout"? }`: reads another version |
 * | `POST /api/projections/{name}/undo` | `{ "force"?, "timeout"? }`: reads the one before |
 * | `POST /api/projections/{name}/drop` | `{ "version", "force"? }`: removes a version with its tables |
 * | `POST /api/projections/{name}/redrive` | `{ "version"?, "key"? }`: tries what is parked again |
 */
export async function projectionsReply(
  request: IncomingMessage,
  path: string,
  control: ProjectionControl | undefined,
): Promise<Reply> {
  if (!control) return problem(404, 'This node has no projections: its configuration has no `projections`.')
  try {
    return await answer(request, path.slice(BASE.length), control)
  } catch (error) {
    return refusal(error)
  }
}

async function answer(request: IncomingMessage, below: string, control: ProjectionControl): Promise<Reply> {
  const [, name, what, ...rest] = below.split('/').map(decodeURIComponent)
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  if (rest.length > 0) return nothingHere()
  if (what === undefined || what === 'parked') {
    if (!isRead) return notAllowed('GET, HEAD')
    if (name === undefined || name === '') return json(200, { projections: await control.list() })
    return what === 'parked' ? parked(request, name, control) : one(name, control)
  }
  if (!Object.hasOwn(ACTIONS, what)) return nothingHere()
  if (request.method !== 'POST') return notAllowed('POST')
  const text = await readBody(request, BODY_BYTES)
  if (text === undefined) return problem(413, 'The request body is too large.')
  const body = bodyOf(what as Action, text)
  return act(what as Action, name!, body, control)
}

async function one(name: string, control: ProjectionControl): Promise<Reply> {
  const all = await control.list()
  const found = all.find((each) => each.name === name)
  if (found) return json(200, found)
  return problem(404, `There is no projection \`${name}\`${listOf(all.map((each) => each.name))}`)
}

async function parked(request: IncomingMessage, name: string, control: ProjectionControl): Promise<Reply> {
  const query = new URLSearchParams((request.url ?? '').split('?')[1] ?? '')
  const unknown = [...query.keys()].find((key) => !['version', 'after', 'limit'].includes(key))
  if (unknown !== undefined)
    return problem(400, `Unknown parameter \`${unknown}\`; known are version, after, limit.`)
  const limit = Number(query.get('limit') ?? 100)
  if (!Number.isInteger(limit) || limit < 1 || limit > LARGEST_LIST)
    return problem(400, `\`limit\` must be a whole number from 1 to ${LARGEST_LIST}.`)
  const number = query.get('version')
  if (number !== null && !/^[1-9]\d{0,8}$/.test(number))
    return problem(400, '`version` must be a whole number from 1.')
  const found = await control.parked(
    name,
    number === null ? undefined : Number(number),
    query.get('after') ?? undefined,
    limit,
  )
  const next = found.parked.length === limit ? found.parked.at(-1)!.position : undefined
  return json(200, { name, ...found, ...(next !== undefined && { next }) })
}

async function act(action: Action, name: string, body: Body, control: ProjectionControl): Promise<Reply> {
  const { version, force = false, timeout, key } = body
  const options = { force, ...(timeout !== undefined && { timeout: timeout as `${number}s` }) }
  const chosen = version === undefined ? {} : { version }
  if (version === undefined && (action === 'switch' || action === 'drop'))
    return problem(
      400,
      `\`version\` is missing: which one is to be ${action === 'drop' ? 'dropped' : 'read'}?`,
    )
  switch (action) {
    case 'rebuild':
      return json(202, await control.rebuild(name, { ...chosen, switch: body.switch ?? false, force }))
    case 'switch':
      return json(200, await control.switch(name, version!, options))
    case 'undo':
      return json(200, await control.undo(name, options))
    case 'drop':
      await control.drop(name, version!, force)
      return json(200, { name, version })
    case 'redrive':
      return json(200, await control.redrive(name, { ...chosen, ...(key !== undefined && { key }) }))
  }
}

/** @throws {@link BanyanError} `BANYAN_INVALID_OPTIONS` */
function bodyOf(action: Action, text: string): Body {
  let body: unknown
  try {
    body = text.trim() === '' ? {} : JSON.parse(text)
  } catch {
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'the body must be JSON')
  }
  checkOptions(action, ACTIONS[action] as OptionKinds, body as Record<string, never>)
  return body as Body
}

/** What an error of the read models is told as. */
function refusal(error: unknown): Reply {
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
    `There is nothing here. Try ${BASE}, ${BASE}/{name}, ${BASE}/{name}/parked, or POST to ${Object.keys(
      ACTIONS,
    )
      .map((action) => `${BASE}/{name}/${action}`)
      .join(', ')}.`,
  )
}
