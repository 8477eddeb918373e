import { systemClock } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import type { TopicInfo } from '../../events/index.js'
import type { PlaceOptions } from '../events/place.js'
import { printable } from '../events/show/printable.js'
import { lineWidth, note } from '../output.js'
import { paint, table } from '../paint.js'
import { topicRecord } from '../times.js'
import { onSubscriptions } from '../subscriptions/session.js'
import { countedText } from '../subscriptions/text.js'

const COLUMNS = [
  'TOPIC',
  { heading: 'KEYS', right: true },
  { heading: 'MESSAGES', right: true },
  { heading: 'LAST', right: true },
  'SUBSCRIPTIONS',
]

/** `banyan topics list`. */
export async function list(options: PlaceOptions & { json?: true }): Promise<void> {
  await onSubscriptions(options, async ({ topics, place, output }) => {
    const found: TopicInfo[] = []
    for await (const info of topics()) found.push(info)
    const now = systemClock.wall()
    if (options.json) output.json(found.map(topicRecord))
    else if (found.length === 0) note(`no topics in ${place.name}`)
    else
      output.add(
        table(
          COLUMNS,
          found.map((info) => row(info, now)),
          lineWidth(),
        ),
      )
  })
}

function row({ topic, streams, events, last, subscriptions }: TopicInfo, now: number): string[] {
  const isAll = topic === '*'
  return [
    paint('bold', printable(topic)),
    isAll ? '' : countedText(streams),
    isAll ? '' : countedText(events),
    last ? `${formatDuration(Math.max(0, now - last.recorded))} ago` : isAll ? '' : '-',
    subscriptions.length === 0 ? '-' : subscriptions.map(printable).join(', '),
  ]
}
