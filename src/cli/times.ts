import type { SubscriptionStatus, TopicInfo } from '../events/index.js'

/** Names of times, in ms since the epoch, in what the library tells. */
const TIMES = ['time', 'recorded', 'failed', 'due'] as const

/**
 * A record as `--json` shows it: with its times in ISO 8601, as CloudEvents have them. Only its own: what stands inside is
 * of users.
 */
export function withTimes<Record extends object>(record: Record): object {
  const shown: { [name: string]: unknown } = { ...record }
  for (const name of TIMES) {
    const time = shown[name]
    if (typeof time === 'number') shown[name] = new Date(time).toISOString()
  }
  if (typeof shown['head'] === 'object') shown['head'] = withTimes(shown['head'] as object)
  return shown
}

export function statusRecord(status: SubscriptionStatus): object {
  return { ...status, lanes: status.lanes.map(withTimes) }
}

export function topicRecord(info: TopicInfo): object {
  return info.last ? { ...info, last: withTimes(info.last) } : info
}
