import { formatDuration } from '../../core/duration.js'
import type { Counted, DeadLetter, LaneStatus, SubscriptionStatus } from '../../events/index.js'
import { shortPosition } from '../events/moment.js'
import { countOf, countText } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'

/** `12`, or `10,000+` if there may be more. */
export function countedText({ count, isComplete }: Counted): string {
  return `${countText(count)}${isComplete ? '' : '+'}`
}

/** `12 messages`. */
export function messagesText({ count, isComplete }: Counted): string {
  return isComplete ? countOf(count, 'message') : `${countText(count)}+ messages`
}

/** A lane by its name, with the position of its one message in short. */
export function laneText({ lane, key }: Pick<LaneStatus, 'lane' | 'key'>): string {
  return key === undefined ? `@${shortPosition(lane.slice(1))}` : printable(lane)
}

/** Where the message of a lane is. */
export function headText({ stream, revision }: DeadLetter['head']): string {
  return `${printable(stream)}@${revision}`
}

/** How long ago it was. */
export function agoText(time: number, now: number): string {
  return formatDuration(Math.max(0, now - time))
}

/** A process that takes part: members are named `machine/name space/process/number`. */
export function memberText(member: string): string {
  const [machine = '', , pid = ''] = member.split('/')
  return `process ${printable(pid)} on ${printable(machine)}`
}

/** What it follows. */
export function topicText({ topic, description }: SubscriptionStatus): string {
  const { types, tags, where } = description ?? {}
  return [
    topic === '*' ? 'everything' : `the topic ${printable(topic)}`,
    ...(types ? [`types ${types.map(printable).join(', ')}`] : []),
    ...(tags ? [`tags ${tags.map(printable).join(', ')}`] : []),
    ...(where ? ['what a function says yes to'] : []),
  ].join('; ')
}
