import { systemClock } from '../../core/clock.js'
import type { DeadLetter } from '../../events/index.js'
import { deadLetterRecord } from '../../events/pubsub/manage/dead-letters.js'
import { shortPosition } from '../events/moment.js'
import type { PlaceOptions } from '../events/place.js'
import { countOf as countOption } from '../events/selection.js'
import { eventBlock } from '../events/show/event-block.js'
import { countOf } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { lineWidth, note } from '../output.js'
import { clip, paint } from '../paint.js'
import { withTimes } from '../times.js'
import { onSubscriptions } from './session.js'
import { agoText, headText, laneText } from './text.js'

/** Options of `banyan subscriptions dead-letters`. */
export interface DeadLettersOptions extends PlaceOptions {
  limit?: string
  long?: true
  json?: true
}

/** `banyan subscriptions dead-letters`: messages that were given up, and why. */
export async function deadLetters(name: string, options: DeadLettersOptions): Promise<void> {
  const limit = options.limit === undefined ? Infinity : countOption(options.limit, '--limit')
  await onSubscriptions(options, async ({ manage, output, signal }) => {
    const now = systemClock.wall()
    let count = 0
    for await (const letter of manage.deadLetters(name, { signal })) {
      if (count++ >= limit) break
      if (options.json) await output.line(JSON.stringify(withTimes(deadLetterRecord(letter))))
      else await output.line(render(letter, now, options.long === true))
    }
    if (count === 0) note(`${name} has no dead letters`)
  })
}

function render(letter: DeadLetter, now: number, long: boolean): string {
  const { attempts, failed, reason, event, head } = letter
  const why = [
    paint('bold', laneText(letter)),
    `${countOf(attempts, 'try', 'tries')}, given up ${agoText(failed, now)} ago`,
    paint('red', printable(reason)),
  ].join('  ')
  if (long && event) return `${why}\n${eventBlock(event).replace(/^(?=.)/gm, '  ')}`
  const what = [
    `  ${printable(head.type)}`,
    paint('cyan', headText(head)),
    paint('gray', `position ${shortPosition(head.position)}`),
    event ? dataText(event.data) : paint('red', 'truncated'),
  ].join('  ')
  const lines = [why, what.trimEnd(), ...(event?.fault ? [`  ${printable(event.fault.message)}`] : [])]
  return lines.map((line) => clip(line, lineWidth())).join('\n')
}

function dataText(data: unknown): string {
  if (data instanceof Uint8Array) return `<${countOf(data.length, 'byte')}>`
  return data === undefined ? '' : printable(JSON.stringify(data))
}
