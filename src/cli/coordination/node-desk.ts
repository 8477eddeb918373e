import type { Leader } from '../../coordination/election/picture.js'
import type { Member } from '../../coordination/line/member.js'
import type { Instance } from '../../coordination/registry/instance.js'
import type { ShardForecast } from '../../coordination/sharding/map/plan-shards.js'
import type { DataForecast, StartedMove } from '../../node/coordination/data-operations.js'
import type { ViewName, Views } from '../../node/coordination/views.js'
import { requestAdmin } from '../admin-client.js'
import { followNode, refusalOf } from '../node-statuses.js'
import type { Desk } from './desk.js'

/** How long a node may take to answer, in ms. */
const PATIENCE_MS = 30_000

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
    follow: (view, name, signal) => followNode(admin, pathOf(view, name), name !== undefined, signal),
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
    async forgetShards(name) {
      await ask(`${pathOf('shards', name)}/forget`, {})
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
    async removeDatabase(name, database) {
      await ask(`${pathOf('data-shards', name)}/remove`, { database })
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  }
}

function pathOf(view: ViewName, name: string | undefined): string {
  return name === undefined ? `/api/${view}` : `/api/${view}/${encodeURIComponent(name)}`
}
