import type { RecordedEvent } from '../../../events/log.js'
import { clip, paint, visible } from '../../paint.js'
import { shortPosition } from '../moment.js'
import { printable } from './printable.js'

/** Columns become as wide as what stands in them, up to this part of the line; what is longer pushes the rest aside. */
const WIDEST_STREAM = 0.3
const WIDEST_TYPE = 0.25

/** Data gets at least this much room before tags are cut off. */
const LEAST_DATA = 24

/** Bytes of binary data that are shown. */
const SHOWN_BYTES = 16

/**
 * Events as lines: when it happened, position, stream@revision, type, data, tags.
 *
 * On a terminal a line is as wide as that and times are local, with a line for each new day; elsewhere lines are whole
 * and times are ISO 8601, so that they can be sorted and searched.
 */
export class EventLines {
  readonly #width: number
  readonly #onTerminal: boolean
  #day: string
  #positionWidth = 0
  #streamWidth = 0
  #typeWidth = 0

  /**
   * @param width - characters of a line; `Infinity` where it is no terminal
   * @param now - ms since the epoch; the day that need not be told
   */
  constructor(width: number, now: number) {
    this.#width = width
    this.#onTerminal = width !== Infinity
    this.#day = dayOf(now)
  }

  /** Lines for some events; their columns are lined up with each other and with those before. */
  render(events: readonly RecordedEvent[]): string[] {
    if (!this.#onTerminal) return events.map((event) => plainLine(event))
    for (const { position, stream, revision, type } of events) {
      this.#positionWidth = Math.max(this.#positionWidth, shortPosition(position).length)
      this.#streamWidth = wider(
        this.#streamWidth,
        visible(`${stream}@${revision}`),
        this.#width * WIDEST_STREAM,
      )
      this.#typeWidth = wider(this.#typeWidth, visible(type), this.#width * WIDEST_TYPE)
    }
    return events.flatMap((event) => this.#lines(event))
  }

  #lines(event: RecordedEvent): string[] {
    const day = dayOf(event.time)
    const lines = day === this.#day ? [] : [paint('gray', `-- ${day}`)]
    this.#day = day
    const stream = printable(event.stream)
    const place = `${stream}@${event.revision}`
    const type = printable(event.type)
    const front = [
      paint('gray', timeOf(event.time)),
      paint('gray', shortPosition(event.position).padStart(this.#positionWidth)),
      `${paint('cyan', stream)}${paint('gray', `@${event.revision}`)}${space(place, this.#streamWidth)}`,
      `${paint('bold', type)}${space(type, this.#typeWidth)}`,
    ].join('  ')
    lines.push(
      clip(`${front}  ${this.#rest(event, this.#width - visible(front) - 2)}`.trimEnd(), this.#width),
    )
    return lines
  }

  /** Data and tags, in the room that is left. */
  #rest(event: RecordedEvent, room: number): string {
    const tags = tagsOf(event)
    const forTags = tags === '' ? 0 : visible(tags) + 2
    const data = clip(withGrayKeys(dataOf(event, this.#width)), Math.max(LEAST_DATA, room - forTags))
    return [...(data === '' ? [] : [data]), ...(tags === '' ? [] : [paint('magenta', tags)])].join('  ')
  }
}

function plainLine(event: RecordedEvent): string {
  const { time, position, stream, revision, type } = event
  return [
    new Date(time).toISOString(),
    shortPosition(position),
    printable(`${stream}@${revision}`),
    printable(type),
    dataOf(event, Infinity),
    tagsOf(event),
  ]
    .filter((part) => part !== '')
    .join('  ')
}

/** JSON on one line; of bytes how many, and the first. */
function dataOf({ data }: RecordedEvent, width: number): string {
  if (data === undefined) return ''
  if (data instanceof Uint8Array) {
    const first = Buffer.from(data.subarray(0, SHOWN_BYTES)).toString('hex')
    return `<${data.length} bytes ${first}${data.length > SHOWN_BYTES ? '...' : ''}>`
  }
  const text = JSON.stringify(data)
  // What is cut off later need not be made fit to print first.
  return printable(text.length > width ? text.slice(0, width + 1) : text)
}

/** Values stand out from their names. */
function withGrayKeys(json: string): string {
  return json.replace(/"(?:[^"\\]|\\.)*":/g, (key) => paint('gray', key))
}

function tagsOf({ tags }: RecordedEvent): string {
  return tags.map((tag) => `#${printable(tag)}`).join(' ')
}

function dayOf(time: number): string {
  const date = new Date(time)
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

function timeOf(time: number): string {
  const date = new Date(time)
  const ms = String(date.getMilliseconds()).padStart(3, '0')
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`
}

function two(number: number): string {
  return String(number).padStart(2, '0')
}

function wider(now: number, wanted: number, most: number): number {
  return wanted > most ? now : Math.max(now, wanted)
}

function space(text: string, width: number): string {
  return ' '.repeat(Math.max(0, width - visible(text)))
}
