import { systemClock } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import type { LaneStatus, SubscriptionStatus } from '../../events/index.js'
import type { PlaceOptions } from '../events/place.js'
import { countOf } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { lineWidth } from '../output.js'
import { paint, table } from '../paint.js'
import { statusRecord } from '../times.js'
import { onSubscriptions } from './session.js'
import { agoText, countedText, headText, laneText, memberText, messagesText, topicText } from './text.js'

/** Lanes that are shown. */
const LANES = 20

/** `banyan subscriptions show`. */
export async function show(name: string, options: PlaceOptions & { json?: true }): Promise<void> {
  await onSubscriptions(options, async ({ manage, output, signal }) => {
    const status = await manage.status(name, { ...(!options.json && { lanes: LANES }), signal })
    if (options.json) output.json(statusRecord(status))
    else output.add(render(status, systemClock.wall()))
  })
}

function render(status: SubscriptionStatus, now: number): string {
  const { name, isPaused, stalled, lanes, description } = status
  const rows: [string, string][] = [
    ['follows', topicText(status)],
    ...guaranteeRows(status),
    ['waiting', waitingText(status)],
    ...stalledRow('parked', 'red', stalled.parked),
    ...stalledRow('retrying', 'yellow', stalled.retrying),
    ...stalledRow('behind', 'yellow', stalled.behind),
    ...ownerRows(status),
  ]
  const width = Math.max(...rows.map(([title]) => title.length))
  const lines = [
    `${paint('bold', printable(name))}${isPaused ? `  ${paint('yellow', 'paused')}` : ''}`,
    ...rows.map(([title, text]) => `${paint('gray', title.padEnd(width))}  ${text}`),
  ]
  const all = stalled.parked + stalled.retrying + stalled.behind
  if (lanes.length > 0) {
    const byFunction = description?.key === 'function'
    lines.push(
      '',
      table(
        COLUMNS,
        lanes.map((lane) => laneRow(lane, now, byFunction)),
        lineWidth(),
      ),
    )
  }
  if (all > lanes.length) lines.push(paint('gray', `and ${countOf(all - lanes.length, 'other')}`))
  return lines.join('\n')
}

function guaranteeRows({ guarantees }: SubscriptionStatus): [string, string][] {
  return guarantees
    ? Object.entries<string>({ ...guarantees })
    : [['handles', 'not known: no process has said']]
}

function waitingText({ waiting, age, description }: SubscriptionStatus): string {
  if (waiting.count === 0 && waiting.isComplete) return 'nothing'
  const since = waiting.count === 0 ? '' : `, the oldest for ${formatDuration(age)}`
  const isMost = description?.key === 'function' || description?.where === true
  return `${isMost ? 'up to ' : ''}${messagesText(waiting)}${since}`
}

function stalledRow(title: string, colour: 'red' | 'yellow', count: number): [string, string][] {
  return count === 0 ? [] : [[title, paint(colour, countOf(count, 'key'))]]
}

/** Who works on which partitions; those of nobody last. */
function ownerRows({ owners }: SubscriptionStatus): [string, string][] {
  const byOwner = new Map<string, number[]>()
  for (const { partition, owner = '' } of [...owners].sort((a, b) => Number(!a.owner) - Number(!b.owner)))
    byOwner.set(owner, [...(byOwner.get(owner) ?? []), partition])
  return [...byOwner].map(([owner, partitions], index) => {
    const by = owner === '' ? paint('yellow', 'nobody') : memberText(owner)
    return [index === 0 ? 'partitions' : '', `${partitions.join(', ')} by ${by}`]
  })
}

const COLUMNS = [
  'KEY',
  'STATE',
  { heading: 'TRIES', right: true },
  { heading: 'FAILED', right: true },
  { heading: 'HOLDS BACK', right: true, dispensable: 1 },
  'MESSAGE',
  'WHY',
]

function laneRow(lane: LaneStatus, now: number, byFunction: boolean): string[] {
  const { state, attempts, failed, due, head, reason = '', heldBack } = lane
  const unknown = state === 'parked' && byFunction ? '?' : ''
  return [
    laneText(lane),
    state === 'retrying'
      ? paint('yellow', due !== undefined && due > now ? `in ${formatDuration(due - now)}` : 'now')
      : paint(state === 'parked' ? 'red' : 'yellow', state),
    String(attempts),
    failed === undefined ? '' : `${agoText(failed, now)} ago`,
    heldBack ? countedText(heldBack) : unknown,
    head ? `${printable(head.type)} ${paint('gray', headText(head))}` : '',
    printable(reason),
  ]
}
