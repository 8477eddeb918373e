import type { Capabilities } from '../log.js'
import { formatDuration } from '../../core/duration.js'
import type { Settings } from './options.js'

/** What of a subscription's settings decides what it promises. */
export type Terms = Pick<Settings, 'delivery' | 'attempts' | 'park' | 'deadline' | 'hold'> & {
  readonly key: 'stream' | 'function'
}

/** What a subscription promises, each with its scope. */
export interface Guarantees {
  readonly delivery: string
  readonly order: string
  readonly parallel: string
  readonly failure: string
  readonly durable: string
}

export function termsOf({ delivery, key, attempts, park, deadline, hold }: Settings): Terms {
  return { delivery, key: key ? 'function' : 'stream', attempts, park, deadline, hold }
}

/** What a subscription promises over a log. */
export function guaranteesOf(terms: Terms, partitions: number, log: Capabilities): Guarantees {
  const { delivery, key, attempts, park, deadline, hold } = terms
  const by = key === 'function' ? 'key' : 'stream'
  return {
    delivery: {
      'at-least-once': `at least once: again until it is acknowledged, within ${formatDuration(deadline)} each time`,
      'at-most-once': 'at most once: acknowledged before it is handled, lost if that fails',
      'effectively-once': `at least once; what the handler returns is appended to this log once (${log.dedupe})`,
    }[delivery],
    order: `per ${by}: one message of a ${by} at a time, in the order of the log${afterwards(terms)}${
      key === 'function' ? '' : '; none for what was published without a key'
    }`,
    parallel: `across keys; in up to ${partitions} process${partitions === 1 ? '' : 'es'} at the same time`,
    failure:
      delivery === 'at-most-once'
        ? 'dropped and counted'
        : `${attempts} ${attempts === 1 ? 'try' : 'tries'}, then a dead letter, which holds back ${park === 'key' ? `the rest of its ${by}` : 'nothing else'}`,
    durable:
      (log.durable === 'none'
        ? 'not at all: the log is in memory'
        : `acknowledgements are as durable as the log (${log.durable})`) +
      (hold
        ? '; what is not handled is kept from being truncated'
        : '; what is truncated before it is handled is lost'),
  }
}

/** What becomes of the order when something fails. */
function afterwards({ delivery, park }: Terms): string {
  if (delivery === 'at-most-once') return '; what fails is not tried again'
  return park === 'key'
    ? ', also after retries and redrives'
    : ', also after retries; a dead letter is passed over, and comes behind the others when it is redriven'
}
