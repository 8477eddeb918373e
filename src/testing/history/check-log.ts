import type { Position } from '../../events/log.js'
import { START } from '../../events/position.js'
import type { SeenEvent } from './history.js'
import { describe } from './log-index.js'
import type { Findings } from './verdict.js'

/** What can be said of the final log alone: positions rise, revisions of a stream have no gap, no event is there twice. */
export function checkLog(log: readonly SeenEvent[], truncated: Position, findings: Findings): void {
  const streams = new Map<string, SeenEvent>()
  const ids = new Set<string>()
  let before: SeenEvent | undefined
  for (const event of log) {
    const { commit, position } = event
    if (before && position <= before.position)
      findings.add('reordered', `${describe(event)} comes behind position ${before.position}`, {
        commit,
        position,
      })
    if (ids.size === ids.add(event.id).size)
      findings.add('duplicated', `${describe(event)} is in the log more than once`, { commit, position })
    else checkRevision(event, streams.get(event.stream), truncated, findings)
    streams.set(event.stream, event)
    before = event
  }
}

function checkRevision(
  event: SeenEvent,
  previous: SeenEvent | undefined,
  truncated: Position,
  findings: Findings,
): void {
  const { commit, position, stream, revision } = event
  const next = previous ? previous.revision + 1 : 0
  if (revision === next) return
  const about = { commit, position }
  if (revision < next) {
    const where = `${describe(event)} comes behind ${stream}@${next - 1} at ${previous?.position ?? START}`
    findings.add('reordered', where, about)
    return
  }
  const mayBeTruncated = truncated > (previous?.position ?? START)
  if (mayBeTruncated) return
  const missing = revision === next + 1 ? `${stream}@${next} is` : `${stream}@${next} to ${revision - 1} are`
  findings.add('lost', `${missing} missing before ${describe(event)}`, about)
}
