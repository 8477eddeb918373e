import { formatDuration } from '../../core/duration.js'
import type { SagaStepView } from '../../events/index.js'
import { printable } from '../events/show/printable.js'
import { paint, table } from '../paint.js'

const COLUMNS = [
  { heading: '', dispensable: 2 },
  'STEP',
  'STATE',
  { heading: 'FAILED TRIES', right: true },
  { heading: 'BEGAN', right: true, dispensable: 1 },
  'WHAT CAME OF IT',
]

/** What a saga has asked for, a line each. */
export function stepsTable(steps: readonly SagaStepView[], now: number, width: number): string {
  const shown = steps.filter(({ kind }) => kind !== 'patch' && kind !== 'no-return')
  return table(
    COLUMNS,
    shown.map((step) => row(step, now)),
    width,
  )
}

function row(step: SagaStepView, now: number): string[] {
  const { kind, name, failures, began } = step
  const count = (direction: 'run' | 'compensate'): number =>
    failures.filter((each) => each.direction === direction).length
  const [run, undo] = [count('run'), count('compensate')]
  return [
    paint('gray', kind),
    kind === 'timer' ? '' : paint('bold', printable(name)),
    stateText(step, now),
    `${run}${undo === 0 ? '' : `, undoing ${undo}`}`,
    `${formatDuration(Math.max(0, now - began))} ago`,
    outcomeText(step),
  ]
}

function stateText(
  { kind, status, compensated, failures, next, due, class: kindOf }: SagaStepView,
  now: number,
): string {
  if (compensated) return paint('yellow', 'undone')
  if (failures.at(-1)?.direction === 'compensate') return paint('red', 'not undone')
  if (status === 'failed') return paint('red', `failed${kindOf === undefined ? '' : ` (${kindOf})`}`)
  if (status === 'done') return paint('green', 'done')
  if (next !== undefined) return paint('yellow', `again ${inText(next, now)}`)
  if (due !== undefined) return `${kind === 'timer' ? 'due' : 'waits, given up'} ${inText(due, now)}`
  return kind === 'step' ? 'open' : 'waits'
}

function inText(time: number, now: number): string {
  return time > now ? `in ${formatDuration(time - now)}` : 'now'
}

function outcomeText({ status, result, error, child, failures }: SagaStepView): string {
  const parts = [
    ...(child === undefined ? [] : [printable(child)]),
    ...(status === 'done' && result !== undefined ? [printable(JSON.stringify(result))] : []),
  ]
  const last = failures.at(-1)
  if (last && (status !== 'done' || last.direction === 'compensate'))
    parts.push(paint('red', `${printable(last.error.message)} (${last.class})`))
  else if (error && status === 'failed') parts.push(paint('red', printable(error.message)))
  return parts.join('  ')
}
