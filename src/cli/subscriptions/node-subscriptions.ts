import type { CloudEvent } from '../../events/cloudevents/index.js'
import { recordedOf } from '../events/node-log/recorded.js'
import { askNode, linesOf } from '../events/node-log/transport.js'
import type {
  DeadLetter,
  SubscriptionInfo,
  Subscriptions,
  SubscriptionStatus,
  TopicInfo,
} from '../../events/index.js'

const BASE = '/api/subscriptions'

/** The subscriptions of the log that a running node hosts, over its admin address. */
export function nodeSubscriptions(admin: string): Subscriptions {
  const pathOf = (name: string, what = ''): string => `${BASE}/${encodeURIComponent(name)}${what}`
  const get = async (path: string, signal?: AbortSignal): Promise<unknown> =>
    (await askNode(admin, path, { signal: signal ?? null })).json()
  const post = async (name: string, what: string, body: object): Promise<unknown> => {
    const headers = { 'Content-Type': 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(body) }
    return (await askNode(admin, pathOf(name, `/${what}`), init)).json()
  }
  return {
    async *list({ signal } = {}) {
      const { subscriptions } = (await get(BASE, signal)) as { subscriptions: SubscriptionInfo[] }
      yield* subscriptions
    },
    async status(name, { signal, ...numbers } = {}) {
      const query = new URLSearchParams()
      for (const [key, value] of Object.entries(numbers)) query.set(key, String(value))
      return (await get(pathOf(name, `?${query.toString()}`), signal)) as SubscriptionStatus
    },
    async *deadLetters(name, { signal } = {}) {
      const response = await askNode(admin, pathOf(name, '/dead-letters'), { signal: signal ?? null })
      for await (const line of linesOf(response)) yield letterOf(line)
    },
    async redrive(name, lanes) {
      const body = lanes === 'all' ? { all: true } : { lanes }
      return ((await post(name, 'redrive', body)) as { lanes: string[] }).lanes
    },
    async skip(name, lane, position) {
      await post(name, 'skip', { lane, position })
    },
    async seek(name, to) {
      const body = typeof to === 'string' ? { to } : to
      return ((await post(name, 'seek', body)) as { position: string }).position
    },
    async pause(name) {
      await post(name, 'pause', {})
    },
    async resume(name) {
      await post(name, 'resume', {})
    },
    async delete(name, { force = false } = {}) {
      await askNode(admin, pathOf(name, force ? '?force=true' : ''), { method: 'DELETE' })
    },
  }
}

/** The topics of that log. */
export async function* nodeTopics(
  admin: string,
  signal: AbortSignal,
): AsyncGenerator<TopicInfo, void, undefined> {
  const response = await askNode(admin, '/api/topics', { signal })
  yield* ((await response.json()) as { topics: TopicInfo[] }).topics
}

function letterOf(line: string): DeadLetter {
  const { event, fault, ...rest } = JSON.parse(line) as Omit<DeadLetter, 'event'> & {
    event?: CloudEvent
    fault?: string
  }
  if (!event) return rest
  const recorded = recordedOf(JSON.stringify(event))
  return { ...rest, event: fault === undefined ? recorded : { ...recorded, fault: new Error(fault) } }
}
