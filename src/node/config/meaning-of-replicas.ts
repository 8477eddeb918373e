import { parseDuration } from '../../core/duration.js'
import type { NodeSpec } from '../spec.js'
import { isInstalled } from './check-events.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** What appends to the log, or changes what is in it. */
const WRITERS = ['topics', 'subscriptions', 'outboxes', 'cdc', 'sagas'] as const

/** `events.follow`: the log can be a copy, and nothing here writes to it. */
export function* checkFollow(config: ConfigInput): Generator<MeaningProblem> {
  const { events, workers = 1 } = config
  if (events?.follow === undefined) return
  const path = ['events', 'follow']
  const { leader, ...rest } = typeof events.follow === 'string' ? { leader: events.follow } : events.follow
  const at = typeof events.follow === 'string' ? path : [...path, 'leader']
  if (events.driver === 'postgres')
    yield error(
      path,
      'postgres has replication of its own; tell its servers under `replicas` to watch them',
      'key',
    )
  if (!URL.canParse(leader)) yield error(at, 'must be a URL such as http://leader:8081')
  else yield* checkLeader(new URL(leader), at)
  if (workers !== 1)
    yield error(
      path,
      'a copy is kept by one process, and `workers` makes several; start several nodes',
      'key',
    )
  if ('heartbeat' in rest && parseDuration(rest.heartbeat)! < 1)
    yield error([...path, 'heartbeat'], 'must be 1ms at least')
  for (const kind of WRITERS)
    if (config[kind] !== undefined)
      yield error(
        [kind],
        'has no place here: it writes to the event log, which is a copy that only reads',
        'key',
      )
  if (events.retention)
    yield error(
      ['events', 'retention'],
      'has no place here: what the leader removes is removed from a copy, too',
      'key',
    )
}

function* checkLeader(
  { username, password, search, hash, pathname, hostname }: URL,
  path: Path,
): Generator<MeaningProblem> {
  if (pathname === '/' && !/^(localhost|[\d.]+|\[.*\])$/.test(hostname))
    yield error(
      path,
      'an admin listener is asked by address or as localhost only; name an address, or a route with `events` and its path',
    )
  if (username !== '' || password !== '')
    yield error(path, 'has a user or a password; give what the leader asks for as `headers`')
  if (search !== '' || hash !== '') yield error(path, 'must end with its path')
}

/** `replicas.<name>`: each server can be one, and is there once. */
export function* checkReplicas(
  { replicas = {}, coordination }: ConfigInput,
  name: string,
): Generator<MeaningProblem> {
  const { nodes, ttl } = replicas[name] as (typeof replicas)[string] & { ttl?: unknown }
  const path = ['replicas', name]
  const seen = new Map<string, string>()
  for (const [node, url] of Object.entries(nodes)) {
    const at = [...path, 'nodes', node]
    if (!URL.canParse(url)) {
      yield error(at, 'must be a URL such as postgres://user:password@host:5432/database')
      continue
    }
    const { host } = new URL(url)
    const twin = seen.get(host)
    if (twin !== undefined) yield error(at, `is the server \`${twin}\`, too`)
    seen.set(host, node)
  }
  if (Object.keys(nodes).length === 1)
    yield warning([...path, 'nodes'], 'is one server: there is nobody to take its place')
  if (!coordination && ttl !== undefined)
    yield error([...path, 'ttl'], 'has no effect without `coordination`, where it is agreed who leads', 'key')
}

/** Whether the package is there that they need. */
export function checkReplicaPackages({ replicas = {} }: NodeSpec): MeaningProblem[] {
  if (isInstalled('pg')) return []
  return Object.keys(replicas).map((name) =>
    error(['replicas', name, 'nodes'], 'needs the package pg: npm install pg'),
  )
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string): MeaningProblem {
  return { severity: 'warning', path, message, at: 'key' }
}
