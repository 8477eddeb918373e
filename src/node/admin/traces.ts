import type { IncomingMessage } from 'node:http'
import { sagas, type TraceOptions } from '../../events/saga/index.js'
import type { EventLog } from '../../events/log.js'
import { json, notAllowed, problem, queryOf, refuseUnknown, signalOf, type Reply } from './reply.js'
import { refusal } from './sagas.js'

const BASE = '/api/traces/'

/** The most that one request reads, and shows. */
const MOST = { scan: 10_000_000, limit: 10_000 } as const

/**
 * Answers `GET /api/traces/{correlationId}?from={position}&limit={n}&scan={n}`: everything of one correlation, as a tree of
 * events, and the reactions and sagas between them. Reads the log from `from` on, up to `scan` events.
 */
export async function tracesReply(
  request: IncomingMessage,
  path: string,
  events: { readonly log: EventLog } | undefined,
): Promise<Reply> {
  if (!events) return problem(404, 'This node hosts no event log: its configuration has no `events`.')
  if (request.method !== 'GET' && request.method !== 'HEAD') return notAllowed('GET, HEAD')
  const query = queryOf(request)
  const refused = refuseUnknown(query, ['from', 'limit', 'scan'])
  if (refused) return refused
  try {
    const options: TraceOptions = { signal: signalOf(request) }
    for (const name of ['limit', 'scan'] as const) {
      const given = query.get(name)
      if (given === null) continue
      const count = Number(given)
      if (!Number.isInteger(count) || count < 1 || count > MOST[name])
        return problem(400, `\`${name}\` must be a whole number from 1 to ${MOST[name]}.`)
      options[name] = count
    }
    const from = query.get('from')
    if (from !== null) options.from = from
    return json(200, await sagas(events.log).trace(decodeURIComponent(path.slice(BASE.length)), options))
  } catch (error) {
    return refusal(error)
  }
}
