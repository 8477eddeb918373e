import type { IncomingMessage } from 'node:http'
import { json, notAllowed, problem, readBody, type Reply } from './reply.js'

/** Which kept answers are to be forgotten; without a word, all. */
export interface CachePurge {
  route?: string | undefined
  host?: string | undefined
  /** Path and query, or the beginning of them with `*` at its end. */
  path?: string | undefined
}

const BODY_BYTES = 64 * 1024

const FORM = 'The body must be JSON: { "route"?: text, "host"?: text, "path"?: text }.'

/** `POST /api/cache/purge`: forgets kept answers, and says how many. */
export async function purgeReply(
  request: IncomingMessage,
  subject: { purge(which: CachePurge): number | Promise<number> },
): Promise<Reply> {
  if (request.method !== 'POST') return notAllowed('POST')
  const body = await readBody(request, BODY_BYTES)
  if (body === undefined) return problem(413, 'The request body is too large.')
  const which = readPurge(body)
  return which === undefined ? problem(400, FORM) : json(200, { purged: await subject.purge(which) })
}

function readPurge(text: string): CachePurge | undefined {
  let given: unknown
  try {
    given = JSON.parse(text.trim() === '' ? '{}' : text)
  } catch {
    return undefined
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return undefined
  const isRight = Object.entries(given).every(
    ([name, value]) => ['route', 'host', 'path'].includes(name) && typeof value === 'string',
  )
  return isRight ? given : undefined
}
