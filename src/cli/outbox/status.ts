import { BanyanError } from '../../core/errors.js'
import { suggest } from '../../core/suggest.js'
import type { OutboxState } from '../../node/outboxes/state.js'
import { printable } from '../events/show/printable.js'
import { lineWidth } from '../output.js'
import { paint, table } from '../paint.js'
import { countedText } from '../subscriptions/text.js'
import { onOutboxes, type OutboxPlace } from './place.js'
import { outboxesTable } from './table.js'

const LANES = ['LANE', 'MESSAGE', 'TYPE', { heading: 'HOLDS BACK', right: true }, 'WHY']

/** `banyan outbox status`. */
export async function status(
  name: string | undefined,
  options: OutboxPlace & { json?: true },
): Promise<void> {
  await onOutboxes(options, async ({ outboxes, output }) => {
    const all = await outboxes.list()
    const found = name === undefined ? all : all.filter((each) => each.name === name)
    if (name !== undefined && found.length === 0) {
      const near = suggest(
        name,
        all.map((each) => each.name),
      )
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `there is no outbox ${name}${near ? `, did you mean ${near}?` : ''}`,
      )
    }
    if (options.json) output.json({ outboxes: found })
    else if (found.length === 0) output.add('no outboxes')
    else output.add(render(found, lineWidth()))
  })
}

function render(outboxes: readonly OutboxState[], width: number): string {
  const parts = [outboxesTable(outboxes, width)]
  for (const { name, parked = [] } of outboxes) {
    if (parked.length === 0) continue
    const lanes = parked.map(({ lane, id, type, heldBack, reason }) => [
      paint('bold', printable(lane)),
      printable(id),
      printable(type),
      countedText(heldBack),
      printable(reason),
    ])
    parts.push(`${outboxes.length > 1 ? `parked in ${printable(name)}\n` : ''}${table(LANES, lanes, width)}`)
  }
  return parts.join('\n\n')
}
