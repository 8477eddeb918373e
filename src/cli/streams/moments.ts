import { eventError } from '../../events/errors.js'
import type { EventLog, Moment, Position } from '../../events/index.js'
import { positionOf } from '../events/moment.js'
import { countOf } from '../events/selection.js'
import { printable } from '../events/show/printable.js'
import { UsageError } from '../usage-error.js'

/** A moment as it was given: by one option of several. */
export type Given = Readonly<Record<string, string | undefined>>

/**
 * The moment that people mean.
 *
 * @param given - by the names of their options, of which those of revisions end in `revision`
 * @param otherwise - if none is given
 * @throws {@link UsageError} if it is given twice, or is none
 */
export async function momentOf(log: EventLog, given: Given, otherwise: 'start' | 'end'): Promise<Moment> {
  const [first, second] = Object.entries(given).filter(([, text]) => text !== undefined)
  if (first && second)
    throw new UsageError(`${first[0]} and ${second[0]} each say which moment; give one of them`)
  const [option, text] = (first ?? ['', otherwise]) as [string, string]
  if (option.endsWith('revision')) return { revision: countOf(text, option) }
  return { position: await positionOf(log, text, option) }
}

/** The last revision of a stream at a moment; -1 if there was nothing yet. */
export async function revisionAt(log: EventLog, stream: string, moment: Moment): Promise<number> {
  const part =
    'revision' in moment
      ? { toRevision: moment.revision }
      : { to: (moment as { position: Position }).position }
  for await (const { revision } of log.read({ stream }, { ...part, backwards: true, limit: 1 }))
    return revision
  return -1
}

/** @throws `BANYAN_POSITION_AHEAD` if the stream has no such revision yet: the present would be shown as what it is not */
export async function mustHave(log: EventLog, stream: string, moment: Moment): Promise<void> {
  if (!('revision' in moment)) return
  const revision = await log.revision(stream)
  if (revision === 'none' || moment.revision <= revision) return
  throw eventError(
    'BANYAN_POSITION_AHEAD',
    `${printable(stream)} is at revision ${revision}, and has no revision ${moment.revision} yet`,
  )
}

/** @throws `BANYAN_INVALID_SELECTOR` if nothing was ever appended to the stream: its name is mistyped, most likely */
export async function mustExist(log: EventLog, stream: string, place: string): Promise<void> {
  if ((await log.revision(stream)) !== 'none') return
  throw eventError(
    'BANYAN_INVALID_SELECTOR',
    `there is no stream ${printable(stream)} in ${place}; banyan events streams lists them`,
  )
}
