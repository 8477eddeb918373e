import { formatDuration } from '../../core/duration.js'
import type { OutboxState } from '../../node/outboxes/state.js'
import { countText } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { paint, table } from '../paint.js'
import { countedText } from '../subscriptions/text.js'

const COLUMNS = [
  'OUTBOX',
  'RELAY',
  { heading: 'WAITING', right: true },
  { heading: 'OLDEST', right: true },
  { heading: 'PARKED', right: true },
  { heading: 'RELAYED', right: true },
  { heading: 'DATABASE', dispensable: 1 },
  '',
]
/** A line for each outbox. */
export function outboxesTable(outboxes: readonly OutboxState[], width: number): string {
  return table(COLUMNS, outboxes.map(row), width)
}

function row({ name, database, relay, waiting, age = 0, parked, relayed, problem }: OutboxState): string[] {
  return [
    paint('bold', printable(name)),
    relay ? (relay.state === 'retrying' ? paint('yellow', relay.state) : relay.state) : '-',
    waiting ? countedText(waiting) : '?',
    waiting === undefined || waiting.count === 0 ? '-' : formatDuration(age),
    parked === undefined ? '?' : parked.length === 0 ? '0' : paint('red', countText(parked.length)),
    relayed === undefined ? '?' : countText(relayed),
    printable(database),
    printable(problem ?? relay?.error ?? ''),
  ]
}
