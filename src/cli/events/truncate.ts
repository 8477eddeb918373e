import type { EventLog, Position, TruncateResult, Truncation } from '../../events/index.js'
import { archive } from '../../events/transfer/index.js'
import { paint } from '../paint.js'
import { UsageError } from '../usage-error.js'
import { confirm } from './confirm.js'
import { fileError } from './input.js'
import { positionOf, shortPosition } from './moment.js'
import type { PlaceOptions } from './place.js'
import { countOf as countOption } from './selection.js'
import { onLog } from './session.js'
import { countOf } from './show/numbers.js'
import { printable } from './show/printable.js'

/** Options of `banyan events truncate` and `archive`. */
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
  await remove(options, undefined)
}

/** `banyan events archive`: moves events to a file of a directory. */
export async function archiveTo(directory: string, options: TruncateOptions): Promise<void> {
  await remove(options, directory)
}

async function remove(options: TruncateOptions, directory: string | undefined): Promise<void> {
  const wanted = wantedOf(options)
  await onLog(options, async ({ log, place, output, signal }) => {
    const what =
      'stream' in wanted ? wanted : { ...wanted, upTo: await positionOf(log, wanted.upTo, '--up-to') }
    const does =
      directory === undefined
        ? `This removes ${whatText(what)} from ${place.name} for good.`
        : `This moves ${whatText(what)} from ${place.name} to a file in ${directory}.`
    const facts = [does, ...(await holdTexts(log, what))]
    if (!(await confirm(facts, options.yes === true, signal))) return
    const result: TruncateResult & { file?: string } =
      directory === undefined
        ? await log.truncate(what)
        : await archive(log, what, { directory, signal }).catch((error: unknown) => {
            throw fileError('write', directory, error)
          })
    if (options.json) {
      output.json({ log: place.name, ...result })
      return
    }
    const { removed, heldBy, file } = result
    output.add(`${countOf(removed, 'event')} removed${file === undefined ? '' : ` and kept in ${file}`}`)
    if (heldBy !== undefined) output.add(heldText(heldBy))
  })
}

/** What people are told of a hold that was in the way. */
export function heldText(hold: string): string {
  return `${paint('yellow', `the hold ${printable(hold)} kept others`)}; they go once it has moved or was released`
}

/** What is to be removed, as it was given: the position of its end is still to be found. */
function wantedOf({ stream, beforeRevision, category, all, upTo }: TruncateOptions): Truncation {
  const given = [stream, category, all].filter((value) => value !== undefined)
  if (given.length !== 1)
    throw new UsageError('say of what: --stream NAME, --category NAME or --all, one of them')
  if (stream !== undefined) {
    if (upTo !== undefined || beforeRevision === undefined)
      throw new UsageError('with --stream, say up to where with --before-revision')
    return { stream, beforeRevision: countOption(beforeRevision, '--before-revision') }
  }
  if (beforeRevision !== undefined || upTo === undefined)
    throw new UsageError('with --category and --all, say up to where with --up-to')
  return category === undefined ? { all: true, upTo } : { category, upTo }
}

function whatText(what: Truncation): string {
  if ('stream' in what)
    return `the events of ${printable(what.stream)} before revision ${what.beforeRevision}`
  const of = 'category' in what ? `of the category ${printable(what.category)} ` : ''
  return `the events ${of}up to position ${shortPosition(what.upTo)}`
}

/** The holds that are in the way. Those of a stream are not: positions of its revisions would have to be looked up. */
async function holdTexts(log: EventLog, what: Truncation): Promise<string[]> {
  const { holds } = await log.stats()
  const isBefore = (position: Position): boolean => 'stream' in what || position < what.upTo
  return holds
    .filter(({ position }) => isBefore(position))
    .map(
      ({ name, position }) =>
        `The hold ${printable(name)} keeps what is after position ${shortPosition(position)}.`,
    )
}
