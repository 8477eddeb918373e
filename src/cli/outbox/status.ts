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

/** `banyan outbox status`: ends with 1 if something is wrong with one of them, or is parked. */
export async function status(
  name: string | undefined,
  options: OutboxPlace & { json?: true },
): Promise<void> {
  await onOutboxes(options, async ({ outboxes, output }) => {
    const all = await outboxes.list()
    // That of a database is called as whoever asks likes.
    const found =
      name === undefined
        ? all
        : options.database === undefined
          ? all.filter((each) => each.name === name)
          : all.map((each) => ({ ...each, name }))
    if (name !== undefined && found.length === 0) {
      const near = suggest(
        name,
        all.map((each) => each.name),
      )
      throw new BanyanError(
        'BANYAN_INVALID_OPTIONS',
        `there is no outbox ${name}${near ? `, did you mean ${near}?` : ''}; the node relays ${all.map((each) => each.name).join(', ') || 'none'}`,
      )
    }
    if (found.some(isProblem)) process.exitCode = 1
    if (options.json) output.json({ outboxes: found })
    else if (found.length === 0) output.add('no outboxes')
    else output.add(render(found, lineWidth()))
  })
}

function isProblem({ parked = [], problem, relay }: OutboxState): boolean {
  return parked.length > 0 || problem !== undefined || relay?.error !== undefined
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
