import { sleep, systemClock } from '../core/clock.js'
import { BanyanError } from '../core/errors.js'
import { fetchAdmin } from './admin-client.js'
import type { Seen } from './coordination/desk.js'
import { serverSentEvents } from './events/node-log/server-sent-events.js'
import { linesOf } from './events/node-log/transport.js'

/** Between tries to come back to a node, in ms. */
const RETRY_MS = 1000

/** What a node has refused, as an error. */
export function refusalOf(status: number, body: object): BanyanError {
  const { code = 'BANYAN_ADMIN_REFUSED', detail = `the node answers ${status}` } = body as {
    code?: `BANYAN_${string}`
    detail?: string
  }
  return new BanyanError(code, detail)
}

/**
 * What a node tells as Server-Sent Events, each time that something has changed. Comes back to a node that has gone; what it then
 * tells is all there is.
 *
 * @param isOne - whether it is about one thing: it ends when that is gone
 */
export async function* followNode<Status extends { readonly name: string }>(
  admin: string,
  path: string,
  isOne: boolean,
  signal: AbortSignal,
): AsyncGenerator<Seen<Status>> {
  let last: Seen<Status> = { statuses: [] }
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      for await (last of told<Status>(admin, path, signal)) {
        yield last
        if (isOne && last.statuses.length === 0 && last.problem === undefined) return
      }
    } catch (error) {
      if (isAborted(signal)) return
      // Who asks for what is not there is told so at once.
      if (isFirst && error instanceof BanyanError) throw error
      yield { ...last, problem: error instanceof Error ? error.message : String(error) }
    }
    await sleep(systemClock, RETRY_MS, signal).catch(() => undefined)
  }
}

/** Asked again, as it may have become so meanwhile. */
function isAborted(signal: AbortSignal): boolean {
  return signal.aborted
}

async function* told<Status extends { readonly name: string }>(
  admin: string,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Seen<Status>> {
  const response = await fetchAdmin(admin, path, { headers: { accept: 'text/event-stream' }, signal })
  if (!response.ok) throw refusalOf(response.status, (await response.json().catch(() => ({}))) as object)
  const known = new Map<string, Status>()
  const statuses = (): Status[] => [...known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, status]) => status)
  for await (const { event, data } of serverSentEvents(linesOf(response))) {
    if (event === 'message' && data !== '') {
      const status = JSON.parse(data) as Status
      known.set(status.name, status)
    } else if (event === 'removed') known.delete((JSON.parse(data) as { name: string }).name)
    else if (event === 'problem')
      yield { statuses: statuses(), problem: (JSON.parse(data) as { detail: string }).detail }
    else if (event === 'caught-up') yield { statuses: statuses() }
  }
}
