import type { ParkedRow } from '../../events/index.js'
import { shortPosition } from '../events/moment.js'
import { countOf } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { lineWidth } from '../output.js'
import { paint, table } from '../paint.js'
import { versionOf } from './input.js'
import { onProjections, type ProjectionPlace } from './place.js'

type Options = ProjectionPlace & { json?: true }

/** Events that are asked for at once. */
const PAGE = 1000

/** `banyan projections parked`. */
export async function parked(name: string, version: string | undefined, options: Options): Promise<void> {
  const number = version === undefined ? undefined : versionOf(version)
  await onProjections(options, async ({ projections, output, signal }) => {
    const rows: ParkedRow[] = []
    let page = await projections.parked(name, number, undefined, PAGE)
    for (; ; page = await projections.parked(name, page.version, rows.at(-1)!.position, PAGE)) {
      signal.throwIfAborted()
      rows.push(...page.parked)
      if (page.parked.length < PAGE) break
    }
    if (options.json) output.json({ name, version: page.version, parked: rows })
    else if (rows.length === 0) output.add(`nothing is parked of version ${page.version} of ${name}`)
    else output.add(render(rows, lineWidth()))
  })
}

function render(rows: readonly ParkedRow[], width: number): string {
  return table(
    [{ heading: 'POSITION', right: true }, 'KEY', 'TYPE', { heading: 'TRIES', right: true }, 'WHY'],
    rows.map(({ position, key, type, attempts, reason }) => [
      shortPosition(position),
      paint('bold', printable(key)),
      printable(type),
      String(attempts),
      printable(reason),
    ]),
    width,
  )
}

/** `banyan projections redrive`: ends with 1 if something is left. */
export async function redrive(
  name: string,
  version: string | undefined,
  options: Options & { key?: string },
): Promise<void> {
  const number = version === undefined ? undefined : versionOf(version)
  await onProjections(options, async ({ projections, output }) => {
    const { key } = options
    const redriven = await projections.redrive(name, {
      ...(number !== undefined && { version: number }),
      ...(key !== undefined && { key }),
    })
    const { handled, left, failures } = redriven
    if (failures.length > 0) process.exitCode = 1
    if (options.json) {
      output.json({ name, ...redriven })
      return
    }
    output.add(`${countOf(handled, 'event')} handled, ${countOf(left, 'event')} still parked`)
    for (const { key, reason } of failures)
      output.add(`  ${paint('red', printable(key))}  ${printable(reason)}`)
  })
}
