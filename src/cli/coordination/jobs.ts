import { formatDuration } from '../../core/duration.js'
import type { JobStatus } from '../../coordination/jobs/read.js'
import type { EndedJobRun, JobOutcome } from '../../coordination/jobs/record.js'
import type { Views } from '../../node/coordination/views.js'
import { countText } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { paint, table, type Column } from '../paint.js'
import type { Look } from './look.js'
import { agoText, inText, momentText, nameText, page, timeText } from './text.js'

/** How jobs are shown. */
export const jobs: Look<'jobs'> = {
  view: 'jobs',
  nothing: 'no jobs',
  table: (all, now, width) =>
    table(
      COLUMNS,
      all.map((each) => row(each, now)),
      width,
    ),
  page: jobPage,
}

const COLUMNS: Column[] = [
  { heading: 'JOB' },
  { heading: 'STATE' },
  { heading: 'NEXT' },
  { heading: 'LAST RUN' },
  { heading: 'TOOK', right: true, dispensable: 1 },
  { heading: 'OUTCOME' },
  { heading: 'ON', dispensable: 2 },
  { heading: 'WHEN', dispensable: 3 },
]

const STATE_COLOURS = {
  scheduled: 'green',
  running: 'cyan',
  overrunning: 'red',
  lost: 'red',
  overdue: 'red',
  paused: 'yellow',
} as const satisfies Record<JobStatus['state'], string>

function row(job: JobStatus, now: number): string[] {
  const { name, state, when, next, running, last, asked } = job
  const isAsked = asked && state !== 'running' && state !== 'overrunning' ? ', asked for' : ''
  return [
    nameText(name),
    `${paint(STATE_COLOURS[state], state)}${isAsked}`,
    next === undefined ? '-' : inText(next, now),
    last ? agoText(last.started, now) : '-',
    last ? tookText(last) : '-',
    last ? outcomeText(last.outcome) : '-',
    printable((running ?? last)?.holder ?? '-'),
    printable(when),
  ]
}

function jobPage(job: Views['jobs']['detail'], now: number, width: number): string {
  const { name, state, when, next, running, waiting, retry, asked, paused, registered, counts, history } = job
  const rows: [string, string][] = [
    ['when', printable(when)],
    ...some(next !== undefined, 'next', () => momentText(next!, now)),
    ...some(
      running !== undefined,
      'runs',
      () =>
        `on ${printable(running!.holder)} for ${formatDuration(Math.max(0, now - running!.started))}, for ${timeText(running!.scheduledFor)}, token ${running!.token}`,
    ),
    ...some(waiting > 0, 'waiting', () => `${countText(waiting)} times`),
    ...some(
      retry !== undefined,
      'retry',
      () => `try ${retry!.attempt} for ${timeText(retry!.scheduledFor)}, ${inText(retry!.at, now)}`,
    ),
    ...some(asked !== undefined, 'asked for', () => `by ${printable(asked!.by)}, ${agoText(asked!.at, now)}`),
    ...some(paused !== undefined, 'paused', () =>
      paint('yellow', `by ${printable(paused!.by)}, ${agoText(paused!.at, now)}`),
    ),
    ['brought', `by ${printable(registered.by)}, ${agoText(registered.at, now)}`],
    ['counts', countsText(counts)],
  ]
  const runs =
    history.length === 0
      ? []
      : [
          table(
            [
              { heading: 'TOKEN', right: true, dispensable: 2 },
              'DUE',
              { heading: 'TRY', right: true, dispensable: 1 },
              { heading: 'TOOK', right: true },
              'OUTCOME',
              'ON',
              'ERROR',
            ],
            history.map((run) => [
              String(run.token),
              `${timeText(run.scheduledFor)}${run.asked ? ' (asked for)' : ''}`,
              String(run.attempt),
              tookText(run),
              outcomeText(run.outcome),
              printable(run.holder),
              printable(run.error ?? ''),
            ]),
            width,
          ),
        ]
  return page(`${nameText(name)}  ${paint(STATE_COLOURS[state], state)}`, rows, runs)
}

function some(is: boolean, title: string, text: () => string): [string, string][] {
  return is ? [[title, text()]] : []
}

function countsText(counts: JobStatus['counts']): string {
  return Object.entries(counts)
    .filter(([name, count]) => name === 'started' || count > 0)
    .map(([name, count]) => `${countText(count as number)} ${name}`)
    .join(', ')
}

function tookText({ started, ended }: EndedJobRun): string {
  return formatDuration(Math.max(0, ended - started))
}

function outcomeText(outcome: JobOutcome): string {
  if (outcome === 'succeeded') return paint('green', outcome)
  return paint(outcome === 'interrupted' ? 'yellow' : 'red', outcome)
}
