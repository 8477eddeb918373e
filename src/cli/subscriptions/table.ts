import { formatDuration } from '../../core/duration.js'
import type { SubscriptionStatus } from '../../events/index.js'
import { countText } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { paint, table } from '../paint.js'
import { countedText } from './text.js'

const COLUMNS = [
  'SUBSCRIPTION',
  'TOPIC',
  { heading: 'WAITING', right: true },
  { heading: 'OLDEST', right: true },
  { heading: 'PARKED', right: true },
  { heading: 'RETRYING', right: true },
  { heading: 'PROCESSES', right: true },
  '',
]

/** A line for each subscription. */
export function subscriptionsTable(subscriptions: readonly SubscriptionStatus[], width: number): string {
  return table(COLUMNS, subscriptions.map(row), width)
}

function row({ name, topic, waiting, age, stalled, members, isPaused }: SubscriptionStatus): string[] {
  const { parked, retrying } = stalled
  return [
    paint('bold', printable(name)),
    printable(topic),
    countedText(waiting),
    waiting.count === 0 ? '-' : formatDuration(age),
    parked === 0 ? '0' : paint('red', countText(parked)),
    retrying === 0 ? '0' : paint('yellow', countText(retrying)),
    countText(members.length),
    isPaused ? paint('yellow', 'paused') : '',
  ]
}
