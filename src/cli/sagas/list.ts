import { systemClock } from '../../core/clock.js'
import { formatDuration } from '../../core/duration.js'
import type { ListedSaga, SagaStatus } from '../../events/index.js'
import { SAGA_STATUSES } from '../../events/saga/status.js'
import { positionOf, shortPosition } from '../events/moment.js'
import type { PlaceOptions } from '../events/place.js'
import { countOf } from '../events/selection.js'
import { printable } from '../events/show/printable.js'
import { lineWidth, note } from '../output.js'
import { paint, table } from '../paint.js'
import { UsageError } from '../usage-error.js'
import { onSagas } from './session.js'
import { sagaRecord, statusText } from './text.js'

/** Options of `banyan sagas list`. */
export interface ListFlags extends PlaceOptions {
  saga?: string
  status?: string
  limit?: string
  before?: string
  json?: true
}

/** `banyan sagas list`: the last that were started first. */
export async function list({ saga, status, limit, before, json, ...where }: ListFlags): Promise<void> {
  const most = limit === undefined ? 50 : countOf(limit, '--limit')
  const chosen = status === undefined ? undefined : statusOf(status)
  await onSagas(where, async ({ manage, log, place, output, signal }) => {
    const found: ListedSaga[] = []
    const options = {
      limit: most + 1,
      signal,
      ...(saga !== undefined && { saga }),
      ...(chosen && { status: chosen }),
      ...(before !== undefined && { before: await positionOf(log, before, '--before') }),
    }
    for await (const one of manage.list(options)) found.push(one)
    if (found.length === 0 && saga !== undefined) await manage.mustBeKnown(saga)
    const page = found.slice(0, most)
    if (json) output.json(page.map(sagaRecord))
    else if (found.length === 0)
      note(`no ${status ?? ''}${status === undefined ? '' : ' '}sagas in ${place.name}`)
    else if (page.length > 0) output.add(render(page, systemClock.wall()))
    const last = page.at(-1)
    if (found.length > most && !json)
      note(`there are more${last ? `: --before ${shortPosition(last.cursor)}` : ''}`)
  })
}

/** @throws {@link UsageError} */
function statusOf(text: string): SagaStatus {
  const found = SAGA_STATUSES.find((status) => status === text)
  if (found) return found
  throw new UsageError(`--status is one of ${SAGA_STATUSES.join(', ')}, got ${JSON.stringify(text)}`)
}

const COLUMNS = [
  'SAGA',
  'STATUS',
  { heading: 'VERSION', right: true, dispensable: 2 },
  { heading: 'STARTED', right: true, dispensable: 1 },
  { heading: 'DUE', right: true },
  'WHAT',
]

function render(found: readonly ListedSaga[], now: number): string {
  const rows = found.map(({ id, status, version, started, due, at = '' }) => [
    paint('bold', printable(id)),
    statusText(status),
    String(version),
    `${formatDuration(Math.max(0, now - started))} ago`,
    due === undefined ? '' : due > now ? `in ${formatDuration(due - now)}` : 'now',
    printable(at),
  ])
  return table(COLUMNS, rows, lineWidth())
}
