import type { SubscriptionStatus, TopicInfo } from '../events/index.js'

/** Names of times, in ms since the epoch, in what the library tells. */
const TIMES = ['time', 'recorded', 'failed', 'due'] as const

/**
 * A record as `--json` shows it: with its times in ISO 8601, as CloudEvents have them. Only its own: what stands inside is
 * of users.
 */
export function withTimes(record: object): object {
  const shown = new Map<string, unknown>(Object.entries(record))
  for (const name of TIMES) {
    const time = shown.get(name)
    if (typeof time === 'number') shown.set(name, new Date(time).toISOString())
  }
  const head = shown.get('head')
  if (typeof head === 'object' && head !== null) shown.set('head', withTimes(head))
  return Object.fromEntries(shown)
}

export function statusRecord(status: SubscriptionStatus): object {
  return { ...status, lanes: status.lanes.map(withTimes) }
}

export function topicRecord(info: TopicInfo): object {
  return info.last ? { ...info, last: withTimes(info.last) } : info
}
