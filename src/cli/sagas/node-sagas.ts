import type { ListedSaga, SagaView, StartedSaga, Trace } from '../../events/index.js'
import { idFor, nameIn } from '../../events/saga/names.js'
import { askNode } from '../events/node-log/transport.js'
import type { SagaOperations } from './operations.js'

const BASE = '/api/sagas'

/** Sagas of one answer. */
const PAGE = 200

/** The sagas of the log that a running node hosts, over its admin address. */
export function nodeSagas(admin: string): SagaOperations {
  const get = async (path: string, signal?: AbortSignal): Promise<unknown> =>
    (await askNode(admin, `${BASE}${path}`, { signal: signal ?? null })).json()
  const post = async (path: string, body: object): Promise<unknown> => {
    const headers = { 'Content-Type': 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(body) }
    return (await askNode(admin, `${BASE}${path}`, init)).json()
  }
  return {
    async *list({ limit = 50, before, signal, ...which } = {}) {
      let next = before
      for (let left = limit; left > 0;) {
        const query = new URLSearchParams({ ...which, limit: String(Math.min(left, PAGE)) })
        if (next !== undefined) query.set('before', next)
        const page = (await get(`?${query.toString()}`, signal)) as { sagas: ListedSaga[]; next?: string }
        yield* page.sagas
        left -= page.sagas.length
        if (page.next === undefined) return
        next = page.next
      }
    },
    async show(id) {
      return (await get(pathOf(id))) as SagaView
    },
    async trace(correlationId, { from, limit, scan, signal } = {}) {
      const query = new URLSearchParams()
      for (const [name, value] of Object.entries({ from, limit, scan }))
        if (value !== undefined) query.set(name, String(value))
      const path = `/api/traces/${encodeURIComponent(correlationId)}?${query.toString()}`
      return (await (await askNode(admin, path, { signal: signal ?? null })).json()) as Trace
    },
    async retry(id, by = {}) {
      await post(`${pathOf(id)}/retry`, by)
    },
    async skip(id, by = {}) {
      await post(`${pathOf(id)}/skip`, by)
    },
    async cancel(id, by = {}) {
      await post(`${pathOf(id)}/cancel`, by)
    },
    async signal(id, name, payload, options = {}) {
      await post(`${pathOf(id)}/signal`, { name, payload, ...options })
    },
    async start(name, input, { id, metadata }) {
      const own = id === undefined ? {} : { id: idFor(name, id) }
      return (await post(`/${encodeURIComponent(name)}`, { input, metadata, ...own })) as StartedSaga
    },
    async mustBeKnown(name) {
      await get(`/${encodeURIComponent(name)}?limit=1`)
    },
  }
}

/** @throws `BANYAN_INVALID_OPTIONS` */
function pathOf(id: string): string {
  const name = nameIn(id)
  return `/${name}/${encodeURIComponent(id.slice(name.length + 1))}`
}
