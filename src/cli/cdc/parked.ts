import type { ParkedChange } from '../../events/index.js'
import { printable } from '../events/show/printable.js'
import { interruptible, lineWidth } from '../output.js'
import { paint, table } from '../paint.js'
import { NodeCaptures } from './node-captures.js'

/** Rows that are asked for at once. */
const PAGE = 1000

/** `banyan cdc parked`. */
export async function parked(name: string, options: { admin?: string; json?: true }): Promise<void> {
  await interruptible(async (output, signal) => {
    const captures = new NodeCaptures(options.admin)
    const rows: ParkedChange[] = []
    for (;;) {
      const page = await captures.parked(name, rows.at(-1)?.position, PAGE)
      signal.throwIfAborted()
      rows.push(...page)
      if (page.length < PAGE) break
    }
    if (options.json) output.json({ name, parked: rows })
    else output.add(rows.length === 0 ? `nothing of ${name} is parked` : render(rows))
  })
}

function render(rows: readonly ParkedChange[]): string {
  return table(
    [{ heading: 'ID', right: true }, 'STREAM', 'TABLE', 'CHANGE', 'WHY'],
    rows.map(({ id, stream, table: from, change, error }) => [
      id,
      paint('bold', printable(stream)),
      printable(from),
      change.operation,
      printable(error),
    ]),
    lineWidth(),
  )
}
