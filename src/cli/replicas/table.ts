import { formatDuration } from '../../core/duration.js'
import type { ReplicaState } from '../../coordination/replication/state.js'
import type {
  DatabaseReplicasState,
  HostedReplicasState,
  LogReplicaState,
} from '../../node/replicas/state.js'
import { nameText, page } from '../coordination/text.js'
import { bytesText, countOf } from '../events/show/numbers.js'
import { printable } from '../events/show/printable.js'
import { paint, table, type Column } from '../paint.js'

const COLUMNS: Column[] = [
  { heading: 'REPLICAS' },
  { heading: 'NODE' },
  { heading: 'ROLE' },
  { heading: 'BEHIND', right: true },
  { heading: 'LAG', right: true },
  { heading: 'OF', dispensable: 1 },
  { heading: 'PROBLEM' },
]

/** A line for each server and each copy. */
export function replicasTable(all: readonly HostedReplicasState[], width: number): string {
  const rows = all.flatMap((each) => {
    const lines = each.kind === 'database' ? each.nodes.map(serverRow) : logRows(each)
    return lines.map((line, index) => [index === 0 ? nameText(each.name) : '', ...line])
  })
  return table(COLUMNS, rows, width)
}

/** All that is known of one. */
export function replicasPage(one: HostedReplicasState, width: number): string {
  return one.kind === 'database' ? databasePage(one, width) : logPage(one, width)
}

function serverRow({ node, role, healthy, timeline, lagBytes, lagMs, problem }: ReplicaState): string[] {
  return [
    printable(node),
    roleText(role, healthy),
    lagBytes === undefined ? '-' : bytesText(lagBytes),
    role !== 'follower' ? '-' : lagText(lagMs),
    timeline === undefined ? '-' : `timeline ${timeline}`,
    problemText(problem),
  ]
}

function logRows({ role, epoch, following, problem, followers }: LogReplicaState): string[][] {
  const healthy = role === 'leader' || following?.state === 'following'
  const own = [
    'this node',
    roleText(role, healthy),
    following ? positionsText(following.behind) : '-',
    following ? lagText(following.staleness) : '-',
    `epoch ${epoch}`,
    problemText(problem),
  ]
  const others = followers.map((each) => [
    printable(each.name),
    roleText('follower', true),
    positionsText(each.behind),
    `heard ${formatDuration(each.contact)} ago`,
    `epoch ${each.epoch}`,
    '',
  ])
  return [own, ...others]
}

function databasePage(
  { name, leader, problem, cluster, timeline, agreed, nodes }: DatabaseReplicasState,
  width: number,
): string {
  const rows: [string, string][] = [
    ['leader', leader === undefined ? paint('red', 'nobody takes writes') : printable(leader)],
    ...some(problem, 'problem', (text) => paint('red', printable(text))),
    ...some(timeline, 'timeline', String),
    ...some(cluster, 'cluster', printable),
    [
      'agreed',
      agreed
        ? 'on the coordinator of the node'
        : paint('yellow', 'nowhere: nobody can be promoted from here'),
    ],
  ]
  const servers = table(
    [
      'NODE',
      'ROLE',
      { heading: 'RECEIVED', right: true, dispensable: 2 },
      { heading: 'REPLAYED', right: true, dispensable: 3 },
      { heading: 'BEHIND', right: true },
      { heading: 'LAG', right: true },
      { heading: 'AT', dispensable: 1 },
      'PROBLEM',
    ],
    nodes.map((each) => {
      const [node = '', role = '', behind = '', lag = '', , why = ''] = serverRow(each)
      return [node, role, each.received ?? '-', each.replayed ?? '-', behind, lag, printable(each.place), why]
    }),
    width,
  )
  return page(nameText(name), rows, [servers])
}

function logPage(
  { name, role, log, epoch, position, following, problem, followers }: LogReplicaState,
  width: number,
): string {
  const rows: [string, string][] = [
    ['role', roleText(role, role === 'leader' || following?.state === 'following')],
    ...some(problem, 'problem', (text) => paint('red', printable(text))),
    ['log', log],
    ['epoch', String(epoch)],
    ['position', position],
    ...(following
      ? ([
          ['leader', printable(following.leader)],
          ['state', following.state],
          ['behind', `${positionsText(following.behind)} of ${following.head}`],
          [
            'as of',
            following.staleness === undefined ? 'nobody knows' : `${formatDuration(following.staleness)} ago`,
          ],
          ['heard', following.contact === undefined ? 'never' : `${formatDuration(following.contact)} ago`],
          ['reads', `${following.reads.here} here, ${following.reads.leader} by the leader`],
        ] as [string, string][])
      : []),
  ]
  if (followers.length === 0) return page(nameText(name), rows, [])
  const copies = table(
    ['FOLLOWER', { heading: 'POSITION', right: true }, { heading: 'BEHIND', right: true }, 'EPOCH', 'HEARD'],
    followers.map((each) => [
      nameText(each.name),
      each.position,
      positionsText(each.behind),
      String(each.epoch),
      `${formatDuration(each.contact)} ago`,
    ]),
    width,
  )
  return page(nameText(name), rows, [copies])
}

function some<Value>(
  value: Value | undefined,
  title: string,
  text: (value: Value) => string,
): [string, string][] {
  return value === undefined ? [] : [[title, text(value)]]
}

function roleText(role: string, healthy: boolean): string {
  const colour = role === 'leader' ? 'green' : healthy ? 'cyan' : role === 'follower' ? 'yellow' : 'red'
  return paint(role === 'leader' && !healthy ? 'red' : colour, role)
}

function positionsText(behind: number): string {
  return countOf(behind, 'position')
}

function lagText(ms: number | undefined): string {
  return ms === undefined ? '?' : formatDuration(ms)
}

function problemText(problem: string | undefined): string {
  return problem === undefined ? '' : paint('red', printable(problem))
}
