import type { SagaKindState } from '../../node/sagas/state.js'
import { countText } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { paint, table } from '../paint.js'

const COLUMNS = [
  'SAGAS',
  'VERSIONS',
  { heading: 'RUNNING', right: true },
  { heading: 'PARKED', right: true },
  'PROBLEM',
]

/** A line for the sagas of each name. */
export function sagasTable(sagas: Readonly<Record<string, SagaKindState>>, width: number): string {
  return table(COLUMNS, Object.entries(sagas).map(row), width)
}

function row([name, { versions, running, parked, problem }]: [string, SagaKindState]): string[] {
  return [
    paint('bold', printable(name)),
    versions ? versions.join(', ') : '-',
    running === undefined ? '-' : countText(running),
    parked === undefined
      ? '?'
      : parked.count === 0
        ? '0'
        : paint('red', `${countText(parked.count)}${parked.isComplete ? '' : '+'}`),
    problem === undefined ? '' : paint('red', printable(problem)),
  ]
}
