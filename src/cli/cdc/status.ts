import { formatDuration } from '../../core/duration.js'
import { suggest } from '../../core/suggest.js'
import { eventError } from '../../events/errors.js'
import type { HostedCaptureState } from '../../node/cdc/state.js'
import { bytesText, countText } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { interruptible, lineWidth } from '../output.js'
import { paint, table } from '../paint.js'
import { NodeCaptures } from './node-captures.js'

/** `banyan cdc status`: ends with 1 if something is wrong. */
export async function status(
  name: string | undefined,
  options: { admin?: string; json?: true },
): Promise<void> {
  await interruptible(async (output) => {
    const all = await new NodeCaptures(options.admin).list()
    const found = name === undefined ? all : all.filter((each) => each.name === name)
    if (name !== undefined && found.length === 0) throw unknown(name, all)
    if (found.some(({ error, parked }) => error !== undefined || parked > 0)) process.exitCode = 1
    if (options.json) output.json({ captures: found })
    else output.add(found.length === 0 ? 'nothing is captured' : capturesTable(found, lineWidth()))
  })
}

const right = (heading: string): { heading: string; right: true } => ({ heading, right: true })

/** A line for each capture. */
export function capturesTable(captures: readonly HostedCaptureState[], width: number): string {
  return table(
    ['CAPTURE', 'STATE', right('LAG'), right('RETAINED'), right('PARKED'), 'UP TO', 'PROBLEM'],
    captures.map((each) => [
      paint('bold', each.name),
      stateText(each),
      each.state === 'waiting' ? '' : formatDuration(each.lagMs),
      each.lagBytes === undefined ? '' : bytesText(each.lagBytes),
      each.parked > 0 ? paint('red', countText(each.parked)) : '0',
      each.lsn,
      paint('red', printable(each.errors.map(({ message }) => message).join('; '))),
    ]),
    width,
  )
}

function stateText({ state, snapshot, generation }: HostedCaptureState): string {
  switch (state) {
    case 'streaming':
      return paint('green', 'streaming')
    case 'snapshot':
      return paint(
        'yellow',
        snapshot ? `snapshot ${generation}: ${snapshot.table}, ${countText(snapshot.rows)}` : 'snapshot',
      )
    case 'needs-snapshot':
      return paint('red', 'needs a snapshot')
    case 'waiting':
      return 'standing by'
    default:
      return paint('yellow', state)
  }
}

function unknown(name: string, all: readonly HostedCaptureState[]): Error {
  const names = all.map((each) => each.name)
  const near = suggest(name, names)
  const hint = near ? `, did you mean ${near}?` : names.length > 0 ? `; there are ${names.join(', ')}` : ''
  return eventError('BANYAN_CAPTURE_UNKNOWN', `there is no capture ${name}${hint}`)
}
