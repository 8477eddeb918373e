import { systemClock } from '../../core/clock.js'
import { suggest } from '../../core/suggest.js'
import { eventError } from '../../events/errors.js'
import type { HostedProjectionState } from '../../node/projections/state.js'
import { lineWidth } from '../output.js'
import { onProjections, type ProjectionPlace } from './place.js'
import { projectionsTable } from './table.js'

/** `banyan projections status`. */
export async function status(
  name: string | undefined,
  options: ProjectionPlace & { json?: true },
): Promise<void> {
  await onProjections(options, async ({ projections, output }) => {
    const all = await projections.list()
    const found = name === undefined ? all : all.filter((each) => each.name === name)
    if (name !== undefined && found.length === 0) throw unknown(name, all)
    if (options.json) output.json({ projections: found })
    else if (found.length === 0) output.add('no projections')
    else output.add(projectionsTable(found, systemClock.wall(), lineWidth()))
  })
}

function unknown(name: string, all: readonly HostedProjectionState[]): Error {
  const names = all.map((each) => each.name)
  const near = suggest(name, names)
  const hint = near ? `, did you mean ${near}?` : names.length > 0 ? `; there are ${names.join(', ')}` : ''
  return eventError('BANYAN_PROJECTION_UNKNOWN', `there is no projection ${name}${hint}`)
}
