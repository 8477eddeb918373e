import { loadConfig } from '../node/config/load.js'
import { formatProblem, type ConfigProblem } from '../node/config/problem.js'
import { redact } from '../node/config/redact.js'
import type { NodeSpec, SubscriptionSpec } from '../node/spec.js'
import { paint, table } from './paint.js'

/** `banyan check`. */
export async function check({ config, json }: { config?: string; json?: true }): Promise<void> {
  const loaded = await loadConfig(config)
  if (!loaded.ok) process.exitCode = 1
  if (json) {
    const problems = loaded.ok ? loaded.warnings : loaded.problems
    console.log(JSON.stringify({ ok: loaded.ok, file: loaded.file, problems }, undefined, 2))
    return
  }
  reportProblems(loaded.ok ? loaded.warnings : loaded.problems)
  if (loaded.ok) console.log(`${paint('green', `${loaded.file} is fine`)}\n\n${summary(loaded.spec)}`)
}

/** Prints problems for people, then how many there are. */
export function reportProblems(problems: readonly ConfigProblem[]): void {
  for (const problem of problems) {
    const isError = problem.severity === 'error'
    console.error(
      `${paint(isError ? 'red' : 'yellow', isError ? 'error  ' : 'warning')} ${formatProblem(problem)}`,
    )
  }
  const errors = problems.filter(({ severity }) => severity === 'error').length
  if (errors > 0) console.error(`\n${errors} ${errors === 1 ? 'error' : 'errors'}`)
}

/** An entry of `listen`, with what is spoken there if that is not plain HTTP/1.1. */
function listenText(setting: NodeSpec['listen'][number]): string {
  if (typeof setting !== 'object') return String(setting)
  const { address, tls, http2 = true, h2c = false } = setting
  const spoken = tls ? ['https', ...(http2 ? ['h2'] : [])] : h2c ? ['h2c'] : []
  return spoken.length === 0 ? String(address) : `${address} (${spoken.join(', ')})`
}

/** Where the event log is, without passwords. */
function logText(events: NonNullable<NodeSpec['events']>): string {
  switch (events.driver) {
    case 'memory':
      return 'in memory'
    case 'sqlite':
      return `sqlite, ${events.path}`
    case 'postgres':
      return `postgres, ${String(redact(events.url))}`
  }
}

/** Where elections, locks, jobs and the registry are, without passwords. */
function coordinatorText(coordination: NonNullable<NodeSpec['coordination']>): string {
  switch (coordination.driver) {
    case 'memory':
      return 'in memory'
    case 'sqlite':
      return `sqlite, ${coordination.path}`
    default:
      return `${coordination.driver}, ${String(redact(coordination.url))}`
  }
}

/** What is told of a configuration, by title: a title stands before the first of its lines. */
function headRows(spec: NodeSpec): [title: string, text: string][] {
  const {
    listen,
    admin,
    events,
    topics = {},
    subscriptions = {},
    projections = {},
    outboxes = {},
    cdc = {},
    sagas = {},
    coordination,
    register = {},
    shards = {},
    replicas = {},
  } = spec
  return [
    ...(listen.length > 0 ? titled('listens on', [listen.map(listenText).join(', ')]) : []),
    ['admin on', admin === false ? 'nowhere' : String(admin)],
    ...(events ? titled('event log', [logText(events)]) : []),
    ...titled(
      'topics',
      Object.entries(topics).map(([name, { types }]) => (types ? `${name} of ${types.join(', ')}` : name)),
    ),
    ...titled(
      'subscriptions',
      Object.entries(subscriptions).map(([name, each]) => `${name} of ${each.topic}, ${deliveryText(each)}`),
    ),
    ...titled(
      'projections',
      Object.entries(projections).map(
        ([name, { module, store }]) =>
          `${name} of ${[module].flat().join(', ')}, in ${String(redact(store))}`,
      ),
    ),
    ...titled(
      'outboxes',
      Object.entries(outboxes).map(([name, { database }]) => `${name} in ${String(redact(database))}`),
    ),
    ...titled(
      'captures',
      Object.entries(cdc).map(
        ([name, { from, tables }]) =>
          `${name} of ${Object.keys(tables).join(', ')}, from ${String(redact(from))}`,
      ),
    ),
    ...titled(
      'sagas',
      Object.entries(sagas).map(([name, { module }]) => `${name} of ${[module].flat().join(', ')}`),
    ),
    ...(coordination ? titled('coordination', [coordinatorText(coordination)]) : []),
    ...titled(
      'registers',
      Object.entries(register).map(([name, { service = name, address }]) => `${service} at ${address}`),
    ),
    ...titled(
      'shards',
      Object.entries(shards).map(
        ([name, { databases, tables }]) =>
          `${name}: ${Object.keys(tables).join(', ')} in ${Object.values(databases)
            .map((database) => String(redact(database)))
            .join(', ')}`,
      ),
    ),
    ...titled(
      'replicas',
      Object.entries(replicas).map(
        ([name, { nodes }]) =>
          `${name}: ${Object.values(nodes)
            .map((node) => String(redact(node)))
            .join(', ')}`,
      ),
    ),
  ]
}

function titled(title: string, lines: readonly string[]): [string, string][] {
  return lines.map((line, index) => [index === 0 ? title : '', line])
}

function deliveryText({ push }: SubscriptionSpec): string {
  if (!push) return 'pulled by clients'
  return `pushed to ${push.url === undefined ? `${push.service}${push.path ?? ''}` : String(redact(push.url))}`
}

/** What the node would do. */
function summary(spec: NodeSpec): string {
  const { routes, services } = spec
  const head = headRows(spec)
  const width = Math.max(...head.map(([title]) => title.length))
  const rows = Object.entries(routes).map(([name, { match, to, policy, events: fromLog }]) => {
    const targets = typeof to === 'string' ? [{ service: to }] : (to ?? [])
    const where = targets.map((target: { service: string; weight?: number }) =>
      targets.length > 1 ? `${target.service} (${target.weight ?? 1})` : target.service,
    )
    const isFound = targets.some(({ service }) => services[service]?.registry !== undefined)
    const endpoints = targets.reduce(
      (sum, { service }) => sum + (services[service]?.endpoints?.length ?? 0),
      0,
    )
    const policies = [policy, ...targets.map(({ service }) => services[service]?.policy)].filter(
      (each) => each !== undefined,
    )
    return [
      name,
      [match.method ?? []].flat().join(' ') || 'any',
      `${[match.host ?? ''].flat().join(' ')}${match.path ?? '/*'}`,
      where.join(', ') || (fromLog ? 'event log' : 'itself'),
      isFound ? 'registered' : String(endpoints),
      [...new Set(policies)].join(' > ') || '-',
    ]
  })
  const lines = head.map(([title, text]) => `${title.padEnd(width)}  ${text}`)
  if (rows.length === 0) return lines.join('\n')
  return [
    ...lines,
    '',
    table(['ROUTE', 'METHOD', 'PATH', 'SERVICE', { heading: 'ENDPOINTS', right: true }, 'POLICY'], rows),
  ].join('\n')
}
