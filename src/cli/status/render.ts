import { formatDuration } from '../../core/duration.js'
import { formatProblem } from '../../node/config/problem.js'
import type { NodeState } from '../../node/node.js'
import type { HostedReplicasState } from '../../node/replicas/state.js'
import type { EndpointState, RouteState, ServiceState } from '../../traffic/gateway/index.js'
import { capturesTable } from '../cdc/status.js'
import { outboxesTable } from '../outbox/table.js'
import { projectionsTable } from '../projections/table.js'
import { replicasTable } from '../replicas/table.js'
import { sagasTable } from '../sagas/table.js'
import { subscriptionsTable } from '../subscriptions/table.js'
import { clip, paint, table, type Column } from '../paint.js'
import { bytesText, countOf } from '../events/show/numbers.js'
import { stateText } from './state-text.js'
import { limitRows } from './limits.js'
import { lastProblems } from './problems.js'

/** Lines of a refused configuration. */
const MOST_MISTAKES = 5

/** Lines of what went wrong last. */
const MOST_PROBLEMS = 5

const FOOT = 'rates and latencies of the last 10 s; see also: banyan explain'

/**
 * Everything `banyan status` shows, as text.
 *
 * @param wall - ms since the Unix epoch
 * @param width - characters of a line
 */
export function render(state: NodeState, wall: number, width: number): string {
  const { services, routes } = state
  const subscriptions = Object.values(state.subscriptions ?? {})
  const projections = Object.values(state.projections ?? {})
  const captures = state.captures ?? []
  const outboxes = state.outboxes ?? []
  const replicas = (state.replicas ?? []).filter(isWorthIt)
  const limits = limitRows(state)
  const problems = lastProblems(state, wall).slice(0, MOST_PROBLEMS)
  const sections = [
    [
      ...headLines(state, width),
      ...configLines(state.config, wall),
      ...eventsLines(state.events),
      ...coordinationLines(state.coordination),
      ...registeredLines(state.registered),
      ...shardsLines(state.shards),
      ...controllerLines(state.resources),
    ]
      .map((line) => clip(line, width))
      .join('\n'),
    ...(Object.keys(services).length > 0 ? [table(SERVICE_COLUMNS, serviceRows(services, wall), width)] : []),
    ...(Object.keys(routes).length > 0 ? [table(ROUTE_COLUMNS, routeRows(routes), width)] : []),
    ...(subscriptions.length > 0 ? [subscriptionsTable(subscriptions, width)] : []),
    ...(projections.length > 0 ? [projectionsTable(projections, wall, width)] : []),
    ...(outboxes.length > 0 ? [outboxesTable(outboxes, width)] : []),
    ...(captures.length > 0 ? [capturesTable(captures, width)] : []),
    ...(replicas.length > 0 ? [replicasTable(replicas, width)] : []),
    ...(state.sagas ? [sagasTable(state.sagas, width)] : []),
    ...(limits.length > 0 ? [table(LIMIT_COLUMNS, limits, width)] : []),
    ...(problems.length > 0 ? [table(PROBLEM_COLUMNS, problems, width)] : []),
    ...(Object.keys(routes).length > 0 ? [clip(paint('gray', FOOT), width)] : []),
  ]
  return sections.join('\n\n')
}

const number = (heading: string, dispensable?: number): Column => ({
  heading,
  right: true,
  ...(dispensable === undefined ? {} : { dispensable }),
})

const SERVICE_COLUMNS = ['SERVICE', 'ENDPOINT', number('REQ/S'), number('FAILED'), number('P50', 2), number('P99'), number('ACTIVE', 1), number('CONNS', 3), 'STATE'] // prettier-ignore
const ROUTE_COLUMNS = ['ROUTE', number('REQ/S'), number('FAILED'), number('P50'), number('P99'), number('ACTIVE'), number('REQUESTS')] // prettier-ignore
const LIMIT_COLUMNS = ['LIMIT', 'OF', number('NOW'), number('MOST'), number('WAITING'), number('REFUSED')]
const PROBLEM_COLUMNS = [number('AGO'), 'WHERE', 'LAST PROBLEM']

/** What runs where, on as many lines as it takes. */
function headLines({ node, connections, workers, restarts = 0 }: NodeState, width: number): string[] {
  const phase = node.phase === 'ready' && node.waiting ? `waiting for ${node.waiting.join(', ')}` : node.phase
  const parts = [
    `banyan ${node.version}`,
    paint(phase === 'ready' ? 'green' : 'yellow', phase),
    ...node.listen,
    `up ${formatDuration(node.uptime)}`,
    `pid ${node.pid}`,
    ...(workers ? [`${workers.length} workers${restarts > 0 ? `, ${restarts} replaced` : ''}`] : []),
    `${connections} client connection${connections === 1 ? '' : 's'}`,
  ]
  const lines: string[] = []
  let used = 0
  for (const part of parts) {
    // Colours count here, which only makes a line a little shorter than it might be.
    if (lines.length === 0 || used + part.length + 2 > width) {
      lines.push(part)
      used = part.length
    } else {
      lines.push(`${lines.pop()!}  ${part}`)
      used += part.length + 2
    }
  }
  return lines
}

/** Which configuration is in force, and why the last one asked for is not. */
function configLines(
  { generation, hash, since, by, file, refused }: NodeState['config'],
  wall: number,
): string[] {
  const age = formatDuration(Math.max(0, wall - Date.parse(since)))
  const from = file === undefined ? by : `${by}, ${file}`
  const lines = [`config ${generation} ${paint('gray', hash)}  in force for ${age}  (${from})`]
  if (!refused) return lines
  const ago = formatDuration(Math.max(0, wall - Date.parse(refused.at)))
  const { problems } = refused
  const count = problems.length === 1 ? '1 mistake' : `${problems.length} mistakes`
  lines.push(
    paint('red', `a change was refused ${ago} ago (${refused.by}): ${count}`),
    ...problems.slice(0, MOST_MISTAKES).map((problem) => `  ${formatProblem(problem)}`),
  )
  if (problems.length > MOST_MISTAKES) lines.push(`  and ${problems.length - MOST_MISTAKES} more`)
  return lines
}

/** The event log: what keeps it, what that survives, and how much there is. */
function eventsLines(events: NodeState['events']): string[] {
  if (!events) return []
  const { driver, durable, problem, events: count = 0, streams = 0, bytes = 0, head = '' } = events
  const name = `events ${driver}  ${DURABLE[durable]}`
  if (problem !== undefined) return [`${name}  ${paint('red', problem)}`]
  const counts = `${countOf(count, 'event')} in ${countOf(streams, 'stream')}, ${bytesText(bytes)}`
  return [`${name}  ${counts}  head ${head}`]
}

/** A log that nobody follows, and that never was anything else, is no replica yet. */
function isWorthIt(each: HostedReplicasState): boolean {
  return each.kind === 'database' || each.role !== 'leader' || each.epoch > 1 || each.followers.length > 0
}

/** What acknowledged events survive. */
const DURABLE = {
  fsync: 'survives power loss',
  server: 'as durable as its server',
  process: 'survives the process',
  none: 'keeps nothing',
} as const

/** The coordinator: what keeps its keys, who shares it, what it survives, and whether it answers. */
function coordinationLines(coordination: NodeState['coordination']): string[] {
  if (!coordination) return []
  const { driver, shared, durable, latency = 0, problem } = coordination
  const parts = [
    `coordination ${driver}`,
    ...(shared && durable
      ? [`${SHARED[shared]}, ${durable === 'none' ? 'keeps nothing' : 'survives power loss'}`]
      : []),
    problem === undefined ? `answers in ${formatDuration(latency)}` : paint('red', problem),
  ]
  return [parts.join('  ')]
}

/** What the node keeps in the registry. */
function registeredLines(registered: NodeState['registered'] = {}): string[] {
  return Object.values(registered).map(({ service, id, address, state, draining, ...each }) => {
    const how = each.problem ?? (each.registered ? (draining ? 'draining' : state) : 'not registered now')
    const colour = how === 'passing' ? 'green' : each.problem === undefined ? 'yellow' : 'red'
    return `registered ${service}  ${address}  ${paint('gray', id)}  ${paint(colour, how)}`
  })
}

/** What works on resources. */
function controllerLines({
  controllers,
  problem,
}: Partial<NonNullable<NodeState['resources']>> = {}): string[] {
  if (problem !== undefined) return [`resources  ${paint('red', problem)}`]
  return Object.entries(controllers ?? {}).map(
    ([name, { resource, kind, depth, failing, problem: wrong }]) => {
      const parts = [`controller ${name}`, resource, kind, ...(depth > 0 ? [`${depth} wait`] : [])]
      const failed = failing > 0 ? [paint('red', `${failing} failing: ${wrong}`)] : []
      return [...parts, ...failed].join('  ')
    },
  )
}

/** The applications in several databases whose moves the node makes. */
function shardsLines(shards: NodeState['shards'] = {}): string[] {
  return Object.entries(shards).map(([name, { databases, ready, moves, stuck, problem, away = {} }]) => {
    const parts = [
      `shards ${name}`,
      `${Object.keys(databases).length} databases`,
      moves === 0 ? 'nothing moves' : `${moves} ${moves === 1 ? 'move' : 'moves'} on the way`,
      ...(stuck > 0 ? [paint('red', `${stuck} stuck`)] : []),
      ...Object.keys(away).map((id) => paint('red', `${id} is away`)),
      ...(ready ? [] : [paint('red', problem ?? 'opening its databases')]),
    ]
    return parts.join('  ')
  })
}

/** Who shares a coordinator. */
const SHARED = { process: 'of this process', machine: 'of one machine', network: 'of many machines' } as const

function serviceRows(services: Record<string, ServiceState>, wall: number): string[][] {
  return Object.entries(services).flatMap(([name, service]) => {
    const rows = service.endpoints.map((endpoint, index) => [
      index > 0 ? '' : service.panic ? paint('red', `${name} (panic)`) : paint('bold', name),
      placeText(endpoint),
      ...readings(endpoint),
      String(endpoint.active),
      String(endpoint.connections.open),
      stateText(endpoint, service, wall),
    ])
    if (rows.length > 0) return rows
    const why = service.registry?.known === false ? 'the registry has not answered' : 'nobody is registered'
    return [[paint('bold', name), '-', '-', '-', '-', '-', '-', '-', paint('red', why)]]
  })
}

/** Where an endpoint is: its URL, the address that is one of several, the zone. */
function placeText({ url, address, zone }: EndpointState): string {
  const name = url.replace(/^http:\/\//, '')
  return `${name}${address === undefined ? '' : ` (${address})`}${zone === undefined ? '' : paint('gray', ` ${zone}`)}`
}

function routeRows(routes: Record<string, RouteState>): string[][] {
  return Object.entries(routes).map(([name, route]) => [
    paint('bold', name),
    ...readings(route),
    String(route.active),
    String(route.requests),
  ])
}

function readings({
  rate,
  failureRate,
  p50,
  p99,
}: Pick<EndpointState, 'rate' | 'failureRate' | 'p50' | 'p99'>): string[] {
  const failed = `${(failureRate * 100).toFixed(1)}%`
  return [
    rate.toFixed(1),
    rate === 0
      ? '-'
      : failureRate >= 0.5
        ? paint('red', failed)
        : failureRate > 0
          ? paint('yellow', failed)
          : failed,
    p50 === undefined ? '-' : formatDuration(p50),
    p99 === undefined ? '-' : formatDuration(p99),
  ]
}
