import { formatDuration } from '../../core/duration.js'
import type { HostedProjectionState, VersionState } from '../../node/projections/state.js'
import { countText } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { paint, table, type Column } from '../paint.js'

/** So far a lag is counted. */
const MOST_LAG = 10_000

const right = (heading: string, dispensable?: number): Column => ({
  heading,
  right: true,
  ...(dispensable !== undefined && { dispensable }),
})

const COLUMNS = ['PROJECTION', right('VERSION'), 'READ', 'STATE', right('LAG'), right('PARKED'), right('MOVED', 1), 'PROBLEM'] // prettier-ignore

/**
 * A line for each version.
 *
 * @param wall - ms since the epoch
 */
export function projectionsTable(
  projections: readonly HostedProjectionState[],
  wall: number,
  width: number,
): string {
  const rows = projections.flatMap(({ name, problem, versions }) =>
    versions.map((version, index) => [
      index > 0 ? '' : paint('bold', name),
      String(version.version),
      version.stored?.active ? paint('green', 'yes') : problem === undefined ? 'no' : '?',
      stateText(version, problem === undefined),
      ...numbers(version, wall),
      problemText(problem, version),
    ]),
  )
  return table(COLUMNS, rows, width)
}

/** What this node does about it, or else what is known of it. */
function stateText({ stored, here }: VersionState, isAsked: boolean): string {
  switch (here?.state) {
    case 'running':
      return stored?.state === 'rebuilding' ? paint('yellow', 'rebuilding') : paint('green', 'running')
    case 'retrying':
      return paint('yellow', here.attempts > 1 ? `retrying (${here.attempts})` : 'retrying')
    case 'starting':
    case 'failed':
      return paint(here.state === 'failed' ? 'red' : 'yellow', here.state)
    case 'standby':
      return 'standing by'
    case 'closed':
    case undefined:
      break
  }
  if (stored === undefined) return paint('yellow', isAsked ? 'not built' : 'waiting')
  if (stored.state === 'failed') return paint('red', 'failed')
  return stored.running ? (stored.state === 'rebuilding' ? 'rebuilding' : 'running') : 'stopped'
}

function numbers({ stored }: VersionState, wall: number): string[] {
  if (!stored) return ['-', '-', '-']
  const { lag, parked, updated } = stored
  return [
    lag === undefined ? '?' : lag >= MOST_LAG ? paint('yellow', `${countText(MOST_LAG)}+`) : countText(lag),
    parked > 0 ? paint('red', countText(parked)) : '0',
    `${formatDuration(Math.max(0, wall - updated))} ago`,
  ]
}

function problemText(problem: string | undefined, { stored, here }: VersionState): string {
  const effects = here?.effectsError ?? stored?.effects?.error
  const text =
    here?.error ??
    stored?.error ??
    problem ??
    (effects === undefined ? undefined : `side effects: ${effects}`)
  return text === undefined ? '' : printable(text)
}
