import { formatDuration } from '../../core/duration.js'
import type { SubscriptionStatus } from '../../events/index.js'
import type { PlaceOptions } from '../events/place.js'
import { countText } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { lineWidth, note } from '../output.js'
import { paint, table } from '../paint.js'
import { onSubscriptions } from './session.js'
import { countedText } from './text.js'

/** How far what waits is counted for each. */
const COUNT = 1000

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

/** `banyan subscriptions list`. */
export async function list(options: PlaceOptions & { json?: true }): Promise<void> {
  await onSubscriptions(options, async ({ manage, place, output, signal }) => {
    const found: SubscriptionStatus[] = []
    for await (const { name } of manage.list({ signal }))
      found.push(await manage.status(name, { count: COUNT, lanes: 0, signal }))
    if (options.json) output.json(found)
    else if (found.length === 0) note(`no subscriptions in ${place.name}`)
    else output.add(table(COLUMNS, found.map(row), lineWidth()))
  })
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
