import type { Member } from '../../coordination/line/member.js'
import type { LockState } from '../../coordination/lock/read-locks.js'
import type { SemaphoreState } from '../../coordination/semaphore/read-semaphores.js'
import { printable } from '../events/show/printable.js'
import { paint, table, type Column } from '../paint.js'
import type { Look } from './look.js'
import { agoText, nameText, namesText, page } from './text.js'

/** How locks are shown. */
export const locks: Look<'locks'> = {
  view: 'locks',
  nothing: 'no locks are held',
  table: (all, now, width) =>
    table(
      columns('LOCK', 'MODE'),
      all.map(({ name, mode, holders, waiting }) => [nameText(name), mode, ...rest(holders, waiting, now)]),
      width,
    ),
  page: ({ name, mode, holders, waiting }: LockState, now, width) =>
    page(
      `${nameText(name)}  held for ${mode === 'read' ? 'reading' : 'writing'}`,
      [],
      [
        table(
          ['HELD BY', { heading: 'TOKEN', right: true }, 'SINCE'],
          holders.map((each) => line(each, now)),
          width,
        ),
        ...waitingTable(
          waiting.map((each) => ({ ...each, more: [each.mode] })),
          ['MODE'],
          now,
          width,
        ),
      ],
    ),
}

/** How semaphores are shown. */
export const semaphores: Look<'semaphores'> = {
  view: 'semaphores',
  nothing: 'no semaphores are held',
  table: (all, now, width) =>
    table(
      columns('SEMAPHORE', 'PERMITS'),
      all.map(({ name, permits, holders, waiting }) => [
        nameText(name),
        `${holders.length} of ${permits}`,
        ...rest(holders, waiting, now),
      ]),
      width,
    ),
  page: ({ name, permits, holders, waiting }: SemaphoreState, now, width) =>
    page(
      `${nameText(name)}  ${holders.length} of ${permits} held`,
      [],
      [
        table(
          ['HELD BY', { heading: 'TOKEN', right: true }, 'SINCE'],
          holders.map((each) => line(each, now)),
          width,
        ),
        ...waitingTable(
          waiting.map((each) => ({ ...each, more: [] })),
          [],
          now,
          width,
        ),
      ],
    ),
}

const columns = (name: string, kind: string): Column[] => [
  { heading: name },
  { heading: kind },
  { heading: 'HELD BY' },
  { heading: 'TOKEN', right: true },
  { heading: 'SINCE', dispensable: 1 },
  { heading: 'WAITING' },
]

function rest(holders: readonly Member[], waiting: readonly Member[], now: number): string[] {
  const [first] = holders
  return [
    namesText(
      holders.map(({ holder }) => holder),
      1,
    ),
    first ? String(first.token) : '-',
    first ? agoText(first.since, now) : '-',
    waiting.length === 0
      ? '-'
      : paint(
          'yellow',
          `${waiting.length}: ${namesText(
            waiting.map(({ holder }) => holder),
            2,
          )}`,
        ),
  ]
}

function line({ holder, token, since }: Member, now: number): string[] {
  return [printable(holder), String(token), agoText(since, now)]
}

function waitingTable(
  waiting: readonly (Member & { readonly more: readonly string[] })[],
  more: readonly string[],
  now: number,
  width: number,
): string[] {
  if (waiting.length === 0) return []
  return [
    table(
      [{ heading: 'NEXT', right: true }, 'WAITING', { heading: 'TOKEN', right: true }, 'SINCE', ...more],
      waiting.map((each, index) => [String(index + 1), ...line(each, now), ...each.more]),
      width,
    ),
  ]
}
