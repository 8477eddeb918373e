import type { IncomingMessage } from 'node:http'
import { deadLetterRecord } from '../../events/pubsub/manage/dead-letters.js'
import {
  subscriptions,
  topics,
  type SeekTarget,
  type Subscriptions,
} from '../../events/pubsub/manage/index.js'
import type { EventLog } from '../../events/log.js'
import { problemOf } from '../../events/http/problem.js'
import {
  decoded,
  json,
  notAllowed,
  problem,
  queryOf,
  readBytes,
  refuseUnknown,
  signalOf,
  type Reply,
} from './reply.js'

const BODY_BYTES = 1024 * 1024

/** How far what waits is counted where all subscriptions are listed. */
const LIST_COUNT = 1000

/**
 * Answers `/api/subscriptions`, what is below it, and `/api/topics`:
 *
 * | request | answer |
 * |---|---|
 * | `GET /api/subscriptions` | all of them: what waits, how long, and how many keys are parked |
 * | `GET /api/subscriptions/{name}?count={n}&lanes={n}` | one, with its partitions and the lanes that do not simply go on |
 * | `GET /api/subscriptions/{name}/dead-letters` | messages that were given up, with why, as lines of JSON |
 * | `POST /api/subscriptions/{name}/redrive` | `{ "lanes": [name] }` or `{ "all": true }`: tells which go on |
 * | `POST /api/subscriptions/{name}/skip` | `{ "lane": name, "position": of its message }` |
 * | `POST /api/subscriptions/{name}/seek` | `{ "to": "start" \| "end" \| position }` or `{ "time": ms since the epoch }` |
 * | `POST /api/subscriptions/{name}/pause`, `.../resume` | |
 * | `DELETE /api/subscriptions/{name}?force={boolean}` | |
 * | `GET /api/topics` | categories of the log, with who follows them |
 */
export async function subscriptionsReply(
  request: IncomingMessage,
  path: string,
  events: { readonly log: EventLog } | undefined,
): Promise<Reply> {
  if (!events) return problem(404, 'This node hosts no event log: its configuration has no `events`.')
  try {
    return await reply(request, path, events.log)
  } catch (error) {
    const known = problemOf(error, true)
    if (!known) throw error
    return problem(known.status, known.detail, { type: `urn:banyan:problem:${known.kind}` })
  }
}

/** Requests about one subscription that change it. */
const CHANGES: Readonly<
  Record<
    string,
    (manage: Subscriptions, name: string, body: Record<string, unknown>) => Promise<object | string>
  >
> = {
  async redrive(manage, name, { lanes, all, ...rest }) {
    const isRight = all === true ? lanes === undefined : all === undefined && isNames(lanes)
    if (!isRight || Object.keys(rest).length > 0)
      return 'The body must be JSON: { "lanes": [name, ...] } or { "all": true }.'
    return { lanes: await manage.redrive(name, all === true ? 'all' : (lanes as string[])) }
  },
  async skip(manage, name, { lane, position, ...rest }) {
    if (typeof lane !== 'string' || typeof position !== 'string' || Object.keys(rest).length > 0)
      return 'The body must be JSON: { "lane": name, "position": of the message that failed }.'
    await manage.skip(name, lane, position)
    return { lane, position }
  },
  async seek(manage, name, { to, time, ...rest }) {
    const target = targetOf(to, time)
    if (target === undefined || Object.keys(rest).length > 0)
      return 'The body must be JSON: { "to": "start", "end" or a position } or { "time": ms since the epoch }.'
    return { position: await manage.seek(name, target) }
  },
  async pause(manage, name, body) {
    if (Object.keys(body).length > 0) return 'There is nothing to say in the body.'
    await manage.pause(name)
    return { isPaused: true }
  },
  async resume(manage, name, body) {
    if (Object.keys(body).length > 0) return 'There is nothing to say in the body.'
    await manage.resume(name)
    return { isPaused: false }
  },
}

async function reply(request: IncomingMessage, path: string, log: EventLog): Promise<Reply> {
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  const signal = signalOf(request)
  const manage = subscriptions(log)
  if (path === '/api/topics') return isRead ? listTopics(log, signal) : notAllowed('GET, HEAD')
  if (path === '/api/subscriptions') return isRead ? list(manage, signal) : notAllowed('GET, HEAD')
  const [, encoded = '', what] = /^\/api\/subscriptions\/([^/]+)(?:\/([a-z-]+))?$/.exec(path) ?? []
  const name = decoded(encoded)
  if (name === undefined)
    return problem(400, 'The name of the subscription is not percent-encoded as it must be.')
  if (name !== '' && what === undefined) {
    if (request.method === 'DELETE') return remove(request, manage, name)
    return isRead ? status(request, manage, name, signal) : notAllowed('GET, HEAD, DELETE')
  }
  if (what === 'dead-letters') return isRead ? deadLetters(manage, name, signal) : notAllowed('GET, HEAD')
  const change = what !== undefined && Object.hasOwn(CHANGES, what) ? CHANGES[what] : undefined
  if (name === '' || !change)
    return problem(
      404,
      'There is nothing here. Try /api/subscriptions, /api/subscriptions/{name}, and below that /dead-letters, /redrive, /skip, /seek, /pause or /resume.',
    )
  if (request.method !== 'POST') return notAllowed('POST')
  const body = await bodyOf(request)
  if (!body) return problem(400, 'The body must be a JSON object.')
  const answer = await change(manage, name, body)
  return typeof answer === 'string' ? problem(400, answer) : json(200, answer)
}

async function listTopics(log: EventLog, signal: AbortSignal): Promise<Reply> {
  const found = []
  for await (const topic of topics(log, { signal })) found.push(topic)
  return json(200, { topics: found })
}

async function list(manage: Subscriptions, signal: AbortSignal): Promise<Reply> {
  const found = []
  for await (const { name } of manage.list({ signal }))
    found.push(await manage.status(name, { count: LIST_COUNT, lanes: 0, signal }))
  return json(200, { subscriptions: found })
}

async function status(
  request: IncomingMessage,
  manage: Subscriptions,
  name: string,
  signal: AbortSignal,
): Promise<Reply> {
  const query = queryOf(request)
  const refusal = refuseUnknown(query, ['count', 'lanes'])
  if (refusal) return refusal
  const numbers: { count?: number; lanes?: number } = {}
  for (const [key, text] of query) {
    const number = Number(text)
    if (!Number.isInteger(number) || number < 0 || number > MOST)
      return problem(400, `\`${key}\` must be a whole number from 0 to ${MOST}.`)
    numbers[key as 'count' | 'lanes'] = number
  }
  return json(200, await manage.status(name, { ...numbers, signal }))
}

/** What one request may have counted. */
const MOST = 100_000

async function deadLetters(manage: Subscriptions, name: string, signal: AbortSignal): Promise<Reply> {
  const letters = manage.deadLetters(name, { signal })[Symbol.asyncIterator]()
  // Whether there is such a subscription shows here, while there is still a status to tell it with.
  const first = await letters.next()
  async function* lines(): AsyncGenerator<Buffer> {
    for (let next = first; next.done !== true; next = await letters.next())
      yield Buffer.from(`${JSON.stringify(deadLetterRecord(next.value))}\n`)
  }
  return { status: 200, type: 'application/x-ndjson', body: lines() }
}

async function remove(request: IncomingMessage, manage: Subscriptions, name: string): Promise<Reply> {
  const query = queryOf(request)
  const refusal = refuseUnknown(query, ['force'])
  if (refusal) return refusal
  const force = query.get('force') ?? 'false'
  if (force !== 'true' && force !== 'false') return problem(400, '`force` must be true or false.')
  await manage.delete(name, { force: force === 'true' })
  return json(200, { deleted: name })
}

/** The object in the body, an empty one if there is none; undefined if it is something else. */
async function bodyOf(request: IncomingMessage): Promise<Record<string, unknown> | undefined> {
  const text = (await readBytes(request, BODY_BYTES)).toString()
  try {
    const value: unknown = JSON.parse(text.trim() === '' ? '{}' : text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined
  }
}

function targetOf(to: unknown, time: unknown): SeekTarget | undefined {
  if (typeof to === 'string' && time === undefined) return to
  return to === undefined && typeof time === 'number' && Number.isFinite(time) ? { time } : undefined
}

function isNames(value: unknown): value is string[] {
  return Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string')
}
