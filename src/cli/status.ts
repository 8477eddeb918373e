import { BanyanError } from '../core/errors.js'
import { formatDuration } from '../core/duration.js'
import { systemClock, sleep } from '../core/clock.js'
import { formatProblem } from '../node/config/problem.js'
import type { NodeState } from '../node/node.js'
import type { EndpointState } from '../traffic/gateway/endpoint.js'
import type { BreakerSnapshot } from '../traffic/policies/circuit-breaker.js'
import { askAdmin } from './admin-client.js'
import { paint, table } from './paint.js'

/** How often the live table is drawn anew, in ms. */
const EVERY_MS = 1_000

/** Lines of a refusal. */
const MOST_PROBLEMS = 5

/** `banyan status`. */
export async function status(options: { admin: string; once?: true; json?: true }): Promise<void> {
  const look = async (): Promise<NodeState> => {
    const state = (await askAdmin(options.admin, '/api/state')) as Partial<NodeState>
    if (state.node === undefined)
      throw new BanyanError('BANYAN_ADMIN_REFUSED', `${options.admin} is not the admin listener of a node`)
    return state as NodeState
  }
  if (options.json) {
    console.log(JSON.stringify(await look(), undefined, 2))
    return
  }
  console.log(render(await look(), systemClock.wall()))
  if (options.once || !process.stdout.isTTY) return

  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  for (;;) {
    await sleep(systemClock, EVERY_MS, stop.signal).catch(() => undefined)
    if (stop.signal.aborted) return
    const text = await look().then(
      (state) => render(state, systemClock.wall()),
      (error: unknown) => paint('red', (error as Error).message),
    )
    // Home, the text with every line cleared to its end, then everything below it.
    process.stdout.write(`\u001b[H${text.replaceAll('\n', '\u001b[K\n')}\u001b[K\n\u001b[J`)
  }
}

/** The whole table as text. */
export function render(state: NodeState, wall: number): string {
  const { node, services, routes, connections } = state
  const phase = node.phase === 'ready' ? paint('green', node.phase) : paint('yellow', node.phase)
  const listen = node.listen.map((each) => `http://${each}`).join(' ')
  const head = `banyan ${node.version}  ${phase}  ${listen}  up ${formatDuration(node.uptime)}  pid ${node.pid}  ${connections} client connections`
  const serviceRows = Object.entries(services).flatMap(([name, service]) =>
    service.endpoints.map((endpoint, index) => [
      index === 0 ? paint('bold', name) : '',
      endpoint.url,
      ...readings(endpoint),
      String(endpoint.active),
      String(endpoint.connections.open),
      breakerText(endpoint.breaker ?? service.breaker, wall),
      index === 0 && service.bulkhead ? slotsText(service.bulkhead) : '',
    ]),
  )
  const routeRows = Object.entries(routes).map(([name, route]) => [
    paint('bold', name),
    ...readings(route),
    String(route.requests),
  ])
  return [
    head,
    ...configText(state.config, wall),
    '',
    table(
      [
        [
          'SERVICE',
          'ENDPOINT',
          'REQ/S',
          'FAILED',
          'P50',
          'P99',
          'ACTIVE',
          'CONNS',
          'BREAKER',
          'BULKHEAD',
        ].map(dim),
        ...serviceRows,
      ],
      [2, 3, 4, 5, 6, 7],
    ),
    '',
    table([['ROUTE', 'REQ/S', 'FAILED', 'P50', 'P99', 'REQUESTS'].map(dim), ...routeRows], [1, 2, 3, 4, 5]),
    '',
    dim('rates and latencies of the last 10 s'),
  ].join('\n')
}

/** Which configuration is in force, and why the last one asked for is not. */
function configText(
  { generation, hash, since, by, file, refused }: NodeState['config'],
  wall: number,
): string[] {
  const age = formatDuration(Math.max(0, wall - Date.parse(since)))
  const from = file === undefined ? by : `${by}, ${file}`
  const lines = [`config ${generation} ${dim(hash)}  in force for ${age}  (${from})`]
  if (refused) {
    const ago = formatDuration(Math.max(0, wall - Date.parse(refused.at)))
    const { problems } = refused
    const count = problems.length === 1 ? '1 mistake' : `${problems.length} mistakes`
    lines.push(
      paint('red', `a change was refused ${ago} ago (${refused.by}): ${count}`),
      ...problems.slice(0, MOST_PROBLEMS).map((problem) => `  ${formatProblem(problem)}`),
    )
    if (problems.length > MOST_PROBLEMS) lines.push(`  and ${problems.length - MOST_PROBLEMS} more`)
  }
  return lines
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

const BREAKER_COLOURS = {
  closed: 'green',
  'half-open': 'yellow',
  open: 'red',
  'forced-open': 'red',
  disabled: 'yellow',
} as const

/** State, what it is based on, and when it ends. */
function breakerText(breaker: BreakerSnapshot | undefined, wall: number): string {
  if (!breaker) return '-'
  const { state, window, until, reason, phase, admitting } = breaker
  const left = until === undefined ? '' : `, ${formatDuration(Math.max(0, until - wall))} left`
  const name = paint(BREAKER_COLOURS[state], breaker.dryRun ? `${state} (dry run)` : state)
  switch (state) {
    case 'closed':
      return window.calls === 0 ? name : `${name} ${window.failures}/${window.calls} failed`
    case 'half-open':
      return phase === 'ramping'
        ? `${name} letting ${Math.round(admitting * 100)}% through${left}`
        : `${name} probing`
    case 'open':
    case 'forced-open':
    case 'disabled':
      return `${name}${left}${reason ? `: ${reason.message}` : ''}`
  }
}

function slotsText({
  inFlight,
  limit,
  queued,
  refused,
}: {
  inFlight: number
  limit: number
  queued: number
  refused: number
}): string {
  return `${inFlight}/${limit}${queued > 0 ? ` +${queued} waiting` : ''}${refused > 0 ? `, ${refused} refused` : ''}`
}

function dim(text: string): string {
  return paint('gray', text)
}
