import type { EventLog, Position, Truncation } from '../../events/index.js'
import { paint } from '../paint.js'
import { UsageError } from '../usage-error.js'
import { confirm } from './confirm.js'
import { positionOf, shortPosition } from './moment.js'
import type { PlaceOptions } from './place.js'
import { countOf as countOption } from './selection.js'
import { onLog } from './session.js'
import { countOf } from './show/numbers.js'
import { printable } from './show/printable.js'

/** Options of `banyan events truncate`. */
export interface TruncateOptions extends PlaceOptions {
  stream?: string
  beforeRevision?: string
  category?: string
  all?: true
  upTo?: string
  yes?: true
  json?: true
}

/** `banyan events truncate`: removes events for good. */
export async function truncate(options: TruncateOptions): Promise<void> {
  const wanted = wantedOf(options)
  await onLog(options, async ({ log, place, output, signal }) => {
    const what =
      'stream' in wanted ? wanted : { ...wanted, upTo: await positionOf(log, wanted.upTo, '--up-to') }
    const holds = 'stream' in what ? [] : await holdsBefore(log, what.upTo)
    const kept = holds.map(
      ({ name, position }) =>
        `The hold ${printable(name)} keeps everything after position ${shortPosition(position)}. `,
    )
    const question = `This removes ${whatText(what)} from ${place.name} for good. ${kept.join('')}Go on?`
    if (!(await confirm(question, options.yes === true, signal))) return
    const { removed, heldBy } = await log.truncate(what)
    if (options.json) {
      output.json({ log: place.name, removed, ...(heldBy !== undefined && { heldBy }) })
      return
    }
    output.add(`${countOf(removed, 'event')} removed`)
    if (heldBy !== undefined)
      output.add(
        `${paint('yellow', `the hold ${printable(heldBy)} kept others`)}: they can be removed once it has moved or was released`,
      )
  })
}

/** What is to be removed, as it was given: the end of it is still to be found. */
function wantedOf({ stream, beforeRevision, category, all, upTo }: TruncateOptions): Truncation {
  const given = [stream, category, all].filter((value) => value !== undefined)
  if (given.length !== 1)
    throw new UsageError('say what to remove: --stream NAME, --category NAME or --all, one of them')
  if (stream !== undefined) {
    if (upTo !== undefined || beforeRevision === undefined)
      throw new UsageError('a stream is truncated with --before-revision, not with --up-to')
    return { stream, beforeRevision: countOption(beforeRevision, '--before-revision') }
  }
  if (beforeRevision !== undefined || upTo === undefined)
    throw new UsageError('a category or the whole log is truncated with --up-to, not with --before-revision')
  return category === undefined ? { all: true, upTo } : { category, upTo }
}

function whatText(what: Truncation): string {
  if ('stream' in what)
    return `every event of ${printable(what.stream)} before revision ${what.beforeRevision}`
  const of = 'category' in what ? ` of the category ${printable(what.category)}` : ''
  return `every event${of} up to position ${shortPosition(what.upTo)}, with it,`
}

async function holdsBefore(log: EventLog, upTo: Position): Promise<{ name: string; position: Position }[]> {
  return (await log.stats()).holds.filter(({ position }) => position < upTo)
}
