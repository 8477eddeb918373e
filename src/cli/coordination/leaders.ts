import { formatDuration } from '../../core/duration.js'
import type { ElectionPicture } from '../../coordination/election/read-elections.js'
import type { ElectionStatus } from '../../node/coordination/views.js'
import { printable } from '../events/show/printable.js'
import { clip, paint, table, type Column } from '../paint.js'
import type { Look } from './look.js'
import { agoText, momentText, nameText, namesText, page } from './text.js'

/** How elections are shown. */
export const leaders: Look<'elections'> = {
  view: 'elections',
  nothing: 'no elections',
  table: (all, now, width) =>
    table(
      COLUMNS,
      all.map((each) => row(each, now, Math.max(SHORTEST, width * SHARE))),
      width,
    ),
  page: electionPage,
}

const COLUMNS: Column[] = [
  { heading: 'ELECTION' },
  { heading: 'LEADER' },
  { heading: 'TOKEN', right: true },
  { heading: 'SINCE', dispensable: 1 },
  { heading: 'CANDIDATES' },
]

/** The part of a line that a name may take, so that tokens are seen behind long ones; and what it may take in any case. */
const SHARE = 0.3
const SHORTEST = 16

function row({ name, leader, candidates, request }: ElectionStatus, now: number, most: number): string[] {
  return [
    clip(nameText(name), Math.floor(most)),
    leader
      ? `${clip(printable(leader.holder), Math.floor(most))}${request ? paint('yellow', ' (asked to hand over)') : ''}`
      : paint('red', 'nobody'),
    leader ? String(leader.token) : '-',
    leader ? agoText(leader.since, now) : '-',
    candidates.length === 0 ? '-' : namesText(candidates.map(({ holder }) => holder)),
  ]
}

function electionPage(
  { name, leader, candidates, request, history }: ElectionPicture,
  now: number,
  width: number,
): string {
  const rows: [string, string][] = leader
    ? [
        ['leader', printable(leader.holder)],
        ['token', String(leader.token)],
        ['since', momentText(leader.since, now)],
        ...(leader.value === undefined
          ? []
          : [['value', printable(JSON.stringify(leader.value))] as [string, string]]),
      ]
    : [['leader', paint('red', 'nobody')]]
  if (request) {
    const to = request.to === undefined ? '' : ` to ${printable(request.to)}`
    rows.push(['asked', paint('yellow', `to hand over${to}, by ${printable(request.by)}`)])
  }
  const tables = [
    ...(candidates.length === 0
      ? []
      : [
          table(
            [
              { heading: 'NEXT', right: true },
              'CANDIDATE',
              { heading: 'PRIORITY', right: true },
              'ZONE',
              'SINCE',
            ],
            candidates.map(({ holder, priority, zone, since }, index) => [
              String(index + 1),
              printable(holder),
              String(priority),
              zone === undefined ? '-' : printable(zone),
              agoText(since, now),
            ]),
            width,
          ),
        ]),
    ...(history.length === 0
      ? []
      : [
          table(
            [{ heading: 'TERM', right: true }, 'LEADER', 'FROM', { heading: 'FOR', right: true }, 'ENDED'],
            history
              .toReversed()
              .map(({ holder, token, since, until, why }) => [
                String(token),
                printable(holder),
                agoText(since, now),
                formatDuration(Math.max(0, (until ?? now) - since)),
                until === undefined && leader?.token === token ? paint('green', 'leads') : endText(why),
              ]),
            width,
          ),
        ]),
  ]
  return page(nameText(name), rows, tables)
}

/** Ends that nobody has asked for. */
const FAULTS: ReadonlySet<string | undefined> = new Set(['failed', 'lease lost', 'taken away', 'gone'])

function endText(why: ElectionPicture['history'][number]['why']): string {
  const text = why === 'gone' ? 'gone: nothing was heard of it' : printable(why ?? '?')
  return FAULTS.has(why) ? paint('red', text) : text
}
