import { formatDuration } from '../core/duration.js'
import { BanyanError } from '../core/errors.js'
import { systemClock } from '../core/clock.js'
import type { Evidence, Explanation } from '../node/explain/explanation.js'
import { askAdmin } from './admin-client.js'
import { paint, table } from './paint.js'
import { breakerText } from './status/state-text.js'

/** `banyan explain`. */
export async function explain(
  id: string | undefined,
  options: { admin: string; json?: true },
): Promise<void> {
  const path = id === undefined ? '/api/explain' : `/api/explain?id=${encodeURIComponent(id)}`
  const { requests } = (await askAdmin(options.admin, path)) as { requests?: Explanation[] }
  if (!requests)
    throw new BanyanError('BANYAN_ADMIN_REFUSED', `${options.admin} is not the admin listener of a node`)
  if (options.json) {
    console.log(JSON.stringify(requests, undefined, 2))
    return
  }
  const wall = systemClock.wall()
  if (id === undefined) {
    console.log(requests.length === 0 ? 'no request was refused or has failed' : listOf(requests, wall))
    return
  }
  if (requests.length === 0)
    throw new BanyanError(
      'BANYAN_UNKNOWN_REQUEST',
      `no refused or failed request \`${id}\` is remembered; only the last 1,000 are, by request id or trace id`,
    )
  console.log(requests.map((each) => explained(each, wall)).join('\n\n'))
}

/** One line for each. */
function listOf(requests: readonly Explanation[], wall: number): string {
  const rows = requests.map((each) => [
    formatDuration(Math.max(0, wall - each.at)),
    colourOf(each.status),
    each.route ?? '-',
    `${each.method} ${each.path}`,
    each.reason,
    each.requestId ?? each.traceId ?? '-',
  ])
  const width = process.stdout.isTTY ? process.stdout.columns : Infinity
  return table([{ heading: 'AGO', right: true }, 'STATUS', 'ROUTE', 'REQUEST', 'REASON', 'ID'], rows, width)
}

/** Everything that is known of one. */
function explained(each: Explanation, wall: number): string {
  const { route, service, endpoint, tries, code, policy, message, retryAfter, evidence } = each
  const way = [
    route === undefined ? 'no route' : `route ${route}`,
    ...(service === undefined ? [] : [`service ${service}`]),
    ...(endpoint === undefined ? [] : [`endpoint ${endpoint}`]),
  ]
  return [
    `${paint('bold', `${each.method} ${each.host}${each.path}`)}  ${colourOf(each.status)}  ${each.reason}`,
    `  ${formatDuration(Math.max(0, wall - each.at))} ago, ${new Date(each.at).toISOString()}`,
    `  ${way.join(' > ')}; ${tries === 1 ? '1 try' : `${tries} tries`}, over after ${formatDuration(each.duration)}`,
    ...(each.requestId === undefined ? [] : [`  request ${each.requestId}`]),
    ...(each.traceId === undefined ? [] : [`  trace   ${each.traceId}`]),
    ...(message === undefined
      ? []
      : ['', `  ${paint('yellow', message)}${code === undefined ? '' : `  [${code}]`}`]),
    ...(policy === undefined ? [] : [`  refused by the policy of \`${policy}\``]),
    ...(retryAfter === undefined
      ? []
      : [`  the client was told to try again after ${formatDuration(retryAfter)}`]),
    ...(evidence ? evidenceLines(evidence) : []),
  ].join('\n')
}

function evidenceLines({ at, breakers, bulkhead, rateLimit, endpoints }: Evidence): string[] {
  const lines: string[] = []
  for (const breaker of breakers ?? []) lines.push(`breaker ${breaker.name}: ${breakerText(breaker, at)}`)
  if (bulkhead) {
    const { inFlight, limit, queued, refused } = bulkhead
    lines.push(
      `bulkhead: ${inFlight} of ${limit} slots taken, ${queued} waiting, ${refused} refused since the start`,
    )
  }
  if (rateLimit) {
    const { limit, window, remaining } = rateLimit
    lines.push(`rate limit: ${limit} in ${formatDuration(window)}, ${remaining} left for this caller`)
  }
  for (const { url, ready, active, lastProblem } of endpoints ?? []) {
    const last = lastProblem === undefined ? '' : `; last problem: ${lastProblem}`
    lines.push(`${url}: ${ready ? 'ready' : paint('red', 'not ready')}, ${active} under way${last}`)
  }
  return lines.length === 0 ? [] : ['', '  at that moment:', ...lines.map((line) => `    ${line}`)]
}

function colourOf(status: number): string {
  return paint(status >= 500 ? 'red' : 'yellow', String(status))
}
