import type { StreamInfo, StreamsOptions } from '../../events/index.js'
import { lineWidth, note } from '../output.js'
import { table } from '../paint.js'
import type { PlaceOptions } from './place.js'
import { countOf } from './selection.js'
import { onLog } from './session.js'
import { countText } from './show/numbers.js'
import { printable } from './show/printable.js'

/** Streams that stand in a table together. */
const PAGE = 1000

const COLUMNS = [
  'STREAM',
  { heading: 'EVENTS', right: true },
  { heading: 'FIRST', right: true },
  { heading: 'LAST', right: true },
]

/** Options of `banyan events streams`. */
export interface StreamsCommandOptions extends PlaceOptions {
  category?: string
  after?: string
  limit?: string
  json?: true
}

/** `banyan events streams`. */
export async function streams(options: StreamsCommandOptions): Promise<void> {
  const { category, after, limit, json } = options
  const which: StreamsOptions = {
    ...(category !== undefined && { category }),
    ...(after !== undefined && { after }),
    ...(limit !== undefined && { limit: countOf(limit, '--limit') }),
  }
  await onLog(options, async ({ log, place, output, signal }) => {
    let page: StreamInfo[] = []
    let count = 0
    const print = async (): Promise<void> => {
      if (page.length > 0) await output.line(table(COLUMNS, page.map(row), lineWidth()))
      page = []
    }
    for await (const info of log.streams({ ...which, signal })) {
      count++
      if (json) await output.line(JSON.stringify(info))
      else if (page.push(info) === PAGE) await print()
    }
    await print()
    if (count === 0) note(`no such streams in ${place.name}`)
  })
}

function row({ stream, revision, firstRevision }: StreamInfo): string[] {
  const events = revision - firstRevision + 1
  return [printable(stream), countText(events), events === 0 ? '-' : String(firstRevision), String(revision)]
}
