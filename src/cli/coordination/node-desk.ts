import { sleep, systemClock } from '../../core/clock.js'
import { BanyanError } from '../../core/errors.js'
import type { Leader } from '../../coordination/election/picture.js'
import type { Member } from '../../coordination/line/member.js'
import type { Instance } from '../../coordination/registry/instance.js'
import type { ShardForecast } from '../../coordination/sharding/map/plan-shards.js'
import type { DataForecast, StartedMove } from '../../node/coordination/data-operations.js'
import type { ViewName, Views } from '../../node/coordination/views.js'
import { fetchAdmin, requestAdmin } from '../admin-client.js'
import { serverSentEvents } from '../events/node-log/server-sent-events.js'
import { linesOf } from '../events/node-log/transport.js'
import type { Desk, Seen } from './desk.js'

/** How long a node may take to answer, in ms. */
const PATIENCE_MS = 30_000
/** Between tries to come back to a node, in ms. */
const RETRY_MS = 1000

/** The coordinator of a running node, through its admin listener. */
export function nodeDesk(admin: string): Desk {
  const ask = async (path: string, body?: object): Promise<unknown> => {
    const init = body ? { method: 'POST', body: JSON.stringify(body) } : {}
    const answer = await requestAdmin(admin, path, init, PATIENCE_MS)
    if (!answer.ok) throw refusalOf(answer.status, answer.body)
    return answer.body
  }
  return {
    async list<Name extends ViewName>(view: Name) {
      const found = (await ask(`/api/${view}`)) as Record<string, readonly Views[Name]['status'][]>
      return found[view]!
    },
    async detail<Name extends ViewName>(view: Name, name: string) {
      return (await ask(pathOf(view, name))) as Views[Name]['detail']
    },
    follow: (view, name, signal) => follow(admin, view, name, signal),
    async handOver(name, options) {
      return ((await ask(`${pathOf('elections', name)}/hand-over`, options)) as { asked: Leader }).asked
    },
    async release(name, options) {
      const answer = (await ask(`${pathOf('locks', name)}/release`, options)) as { released: Member[] }
      return answer.released
    },
    async changeJob(name, action, options) {
      await ask(`${pathOf('jobs', name)}/${action}`, options)
    },
    async drain(service, id, options) {
      const path = `${pathOf('registry', service)}/${encodeURIComponent(id)}/drain`
      return ((await ask(path, options)) as { asked: Instance }).asked
    },
    async planShards(name, changes) {
      return (await ask(`${pathOf('shards', name)}/plan`, changes)) as ShardForecast
    },
    async steerShards(name, { do: what, ...wish }, { by }) {
      await ask(`${pathOf('shards', name)}/${what}`, { ...wish, by })
    },
    async planDataShards(name, spread) {
      return (await ask(`${pathOf('data-shards', name)}/plan`, spread)) as DataForecast
    },
    async startDataMoves(name, wish) {
      const answer = (await ask(`${pathOf('data-shards', name)}/move`, wish)) as { moves: StartedMove[] }
      return answer.moves
    },
    async steerDataMoves(name, ids, action) {
      const body = ids === 'all' ? { all: true } : { moves: ids }
      return ((await ask(`${pathOf('data-shards', name)}/${action}`, body)) as { moves: string[] }).moves
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function pathOf(view: ViewName, name: string | undefined): string {
  return name === undefined ? `/api/${view}` : `/api/${view}/${encodeURIComponent(name)}`
}

function refusalOf(status: number, body: object): BanyanError {
  const { code = 'BANYAN_ADMIN_REFUSED', detail = `the node answers ${status}` } = body as {
    code?: `BANYAN_${string}`
    detail?: string
  }
  return new BanyanError(code, detail)
}

/** Comes back to a node that has gone; what it then tells is all there is. */
async function* follow<Name extends ViewName>(
  admin: string,
  view: Name,
  name: string | undefined,
  signal: AbortSignal,
): AsyncGenerator<Seen<Views[Name]['status']>> {
  let last: Seen<Views[Name]['status']> = { statuses: [] }
  for (let isFirst = true; !signal.aborted; isFirst = false) {
    try {
      for await (last of told<Name>(admin, pathOf(view, name), signal)) {
        yield last
        if (name !== undefined && last.statuses.length === 0 && last.problem === undefined) return
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

async function* told<Name extends ViewName>(
  admin: string,
  path: string,
  signal: AbortSignal,
): AsyncGenerator<Seen<Views[Name]['status']>> {
  const response = await fetchAdmin(admin, path, { headers: { accept: 'text/event-stream' }, signal })
  if (!response.ok) throw refusalOf(response.status, (await response.json().catch(() => ({}))) as object)
  const known = new Map<string, Views[Name]['status']>()
  const statuses = (): Views[Name]['status'][] =>
    [...known].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, status]) => status)
  for await (const { event, data } of serverSentEvents(linesOf(response))) {
    if (event === 'message' && data !== '') {
      const status = JSON.parse(data) as Views[Name]['status']
      known.set(status.name, status)
    } else if (event === 'removed') known.delete((JSON.parse(data) as { name: string }).name)
    else if (event === 'problem')
      yield { statuses: statuses(), problem: (JSON.parse(data) as { detail: string }).detail }
    else if (event === 'caught-up') yield { statuses: statuses() }
  }
}
