import type { InstanceStatus, Views } from '../../node/coordination/views.js'
import { printable } from '../events/show/printable.js'
import { paint, table, type Column } from '../paint.js'
import type { Look } from './look.js'
import { agoText, nameText, page, spanText } from './text.js'

/** How the registry is shown. */
export const registry: Look<'registry'> = {
  view: 'registry',
  nothing: 'nothing is registered',
  table: (all, now, width) =>
    table(
      [{ heading: 'SERVICE' }, ...COLUMNS],
      all.flatMap(({ name, instances }) =>
        instances.map((each, index) => [index === 0 ? nameText(name) : '', ...row(each, now)]),
      ),
      width,
    ),
  page: servicePage,
}

const COLUMNS: Column[] = [
  { heading: 'INSTANCE' },
  { heading: 'ADDRESS' },
  { heading: 'STATE' },
  { heading: 'ZONE', dispensable: 2 },
  { heading: 'VERSION', dispensable: 3 },
  { heading: 'WEIGHT', right: true, dispensable: 4 },
  { heading: 'SINCE', dispensable: 5 },
  { heading: 'TAGS', dispensable: 1 },
]

function row(instance: InstanceStatus, now: number): string[] {
  const { id, address, zone, version, weight, since, tags } = instance
  return [
    printable(id),
    printable(address),
    stateText(instance),
    printable(zone ?? '-'),
    printable(version ?? '-'),
    String(weight),
    agoText(since, now),
    tags.length === 0 ? '-' : tags.map(printable).join(', '),
  ]
}

const COLOURS = { passing: 'green', warning: 'yellow', critical: 'red' } as const

function stateText({ state, note, draining }: InstanceStatus): string {
  if (draining) return paint('yellow', 'draining')
  return `${paint(COLOURS[state], state)}${note === undefined ? '' : `: ${printable(note)}`}`
}

function servicePage(
  { name, instances, history }: Views['registry']['detail'],
  now: number,
  width: number,
): string {
  const well = instances.filter(({ state, draining }) => state !== 'critical' && !draining).length
  const title = `${nameText(name)}  ${instances.length === 0 ? paint('red', 'no instances') : `${well} of ${instances.length} take requests`}`
  return page(
    title,
    [],
    [
      ...(instances.length === 0
        ? []
        : [
            table(
              COLUMNS,
              instances.map((each) => row(each, now)),
              width,
            ),
          ]),
      ...(history.length === 0
        ? []
        : [
            table(
              [{ heading: 'AGO', right: true }, 'INSTANCE', 'WHAT', 'ADDRESS', 'BY', 'NOTE'],
              history
                .toReversed()
                .map(({ what, id, address, holder, at, note }) => [
                  spanText(at, now),
                  printable(id),
                  printable(what),
                  printable(address),
                  printable(holder),
                  printable(note ?? ''),
                ]),
              width,
            ),
          ]),
    ],
  )
}
