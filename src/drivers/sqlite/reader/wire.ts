import type { Page, StoredEvent } from '../../../events/driver.js'
import { formatPosition } from '../../../events/position.js'

/** A page on its way from the reader's thread: texts and numbers, which are copied faster than objects. */
export interface PackedPage {
  readonly position: string
  readonly end: boolean
  readonly truncated: boolean
  /** Of each event {@link NUMBERS}. */
  readonly numbers: Float64Array
  /** Names, ids, and JSON of tags and metadata. */
  readonly texts: readonly string[]
  /** Data of each event. */
  readonly data: readonly (string | Uint8Array | undefined)[]
}

/** How many numbers an event has. */
const NUMBERS = 13
const NONE = -1
const NO_TAGS: readonly string[] = []

export function packPage({ events, position, end, truncated }: Page): PackedPage {
  const numbers = new Float64Array(events.length * NUMBERS)
  const texts: string[] = []
  const known = new Map<string, number>()
  const indexOf = (text: string): number => {
    let index = known.get(text)
    if (index === undefined) known.set(text, (index = texts.push(text) - 1))
    return index
  }
  let n = 0
  let commit = NONE
  for (const event of events) {
    numbers[n++] = Number(event.position)
    numbers[n++] = event.revision
    numbers[n++] = event.ordinal
    numbers[n++] = event.schemaVersion
    numbers[n++] = event.time
    numbers[n++] = event.recorded
    numbers[n++] = event.checksum
    numbers[n++] = indexOf(event.stream)
    numbers[n++] = indexOf(event.type)
    // Hardly ever that of another commit, which then is there twice.
    if (texts[commit] !== event.commit) commit = texts.push(event.commit) - 1
    numbers[n++] = commit
    numbers[n++] = event.id === undefined ? NONE : indexOf(event.id)
    numbers[n++] = event.tags.length === 0 ? NONE : indexOf(JSON.stringify(event.tags))
    numbers[n++] = event.metadata === '' ? NONE : indexOf(event.metadata)
  }
  return { position, end, truncated, numbers, texts, data: events.map(({ data }) => data) }
}

export function unpackPage({ position, end, truncated, numbers, texts, data }: PackedPage): Page {
  let n = 0
  const events = data.map((content): StoredEvent => {
    const at = formatPosition(numbers[n++]!)
    const revision = numbers[n++]!
    const ordinal = numbers[n++]!
    const schemaVersion = numbers[n++]!
    const time = numbers[n++]!
    const recorded = numbers[n++]!
    const checksum = numbers[n++]!
    const stream = texts[numbers[n++]!]!
    const type = texts[numbers[n++]!]!
    const commit = texts[numbers[n++]!]!
    const id = numbers[n++]!
    const tags = numbers[n++]!
    const metadata = numbers[n++]!
    return {
      id: id === NONE ? undefined : texts[id]!,
      ordinal,
      type,
      data: content,
      metadata: metadata === NONE ? '' : texts[metadata]!,
      tags: tags === NONE ? NO_TAGS : (JSON.parse(texts[tags]!) as string[]),
      schemaVersion,
      time,
      checksum,
      commit,
      stream,
      revision,
      position: at,
      recorded,
    }
  })
  return { events, position, end, truncated }
}
