import { problemOfRules, type RetentionRule } from '../../events/retention/rules.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** What belongs to one driver alone; the first of each is needed. */
const OPTIONS = {
  sqlite: ['path', 'lockWait'],
  postgres: [
    'url',
    'schema',
    'connections',
    'listenUrl',
    'listen',
    'poll',
    'lockTimeout',
    'retryFor',
    'answerWithin',
    'migrate',
  ],
} as const

const DRIVERS: readonly unknown[] = ['memory', ...Object.keys(OPTIONS)]

/** `events`: each driver has what it needs, and nothing that belongs to another. */
export function* checkEvents({ events, workers = 1 }: ConfigInput): Generator<MeaningProblem> {
  if (!events) return
  const { driver } = events
  // What belongs to a driver that there is not is said by whoever refuses that.
  for (const owner of DRIVERS.includes(driver) ? (['sqlite', 'postgres'] as const) : []) {
    const [needed] = OPTIONS[owner]
    if (driver === owner && events[needed] === undefined)
      yield error(['events'], `the driver ${driver} needs \`${needed}\``, 'key')
    for (const key of driver === owner ? [] : OPTIONS[owner])
      if (events[key] !== undefined)
        yield error(['events', key], `belongs to the driver ${owner}, not to ${driver}`, 'key')
  }
  for (const key of ['url', 'listenUrl'] as const)
    if (driver === 'postgres' && events[key] !== undefined && !isPostgresUrl(events[key]))
      yield error(['events', key], 'must be a URL such as postgres://user:password@host:5432/database')
  const rules = events.retention?.rules as RetentionRule[] | undefined
  const problem = rules && problemOfRules(rules)
  if (problem !== undefined) yield error(['events', 'retention'], problem)
  if (driver === 'memory') {
    if (workers !== 1)
      yield error(
        ['events', 'driver'],
        'memory belongs to one process, and `workers` makes several; take sqlite, which they share',
      )
    else yield warning(['events', 'driver'], 'memory keeps nothing: when the node ends, its events are gone')
  }
}

/** `routes.<name>.events`: there is a log, and not everybody may come to it by mistake. */
export function* checkEventsOfRoute(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { events, access, rewrite } = config.routes[name]!
  if (!events) return
  const path = ['routes', name, 'events']
  if (!config.events)
    yield error(
      path,
      'there is no event log; say at the top which one: `events: { driver: sqlite, path: ./data }`',
      'key',
    )
  const appends = events.allow?.includes('append') ?? true
  if (!access && !events.public)
    yield error(
      path,
      `everybody could ${appends ? 'append to' : 'read'} the event log: give the route \`access\`, or say \`public: true\` here if that is meant`,
      'key',
    )
  if (events.allow?.includes('replicate')) yield* checkReplicating(config, name)
  if (access && events.public)
    yield error([...path, 'public'], 'contradicts `access`, which lets not everybody pass')
  if (events.actor === 'caller' && access?.by === undefined)
    yield error([...path, 'actor'], 'needs `access.by`: nobody is asked who they are')
  if (rewrite)
    yield error(
      ['routes', name, 'rewrite'],
      'has no effect: the event log is no service behind the route',
      'key',
    )
}

/** Who keeps a copy gets all that is in the log, and can take its place. */
function* checkReplicating(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { access, events } = config.routes[name]!
  const path = ['routes', name, 'events']
  if (!access)
    yield error(
      [...path, 'allow'],
      'whoever may replicate gets the whole log, and can take its place: give the route `access`',
    )
  for (const key of ['categories', 'streams'] as const)
    if (events?.[key])
      yield error([...path, key], 'contradicts `replicate`, which is about the whole log', 'key')
  if (config.events?.driver === 'postgres')
    yield error([...path, 'allow'], 'postgres has replication of its own: nobody can follow its log this way')
}

function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text)
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'warning', path, message, at }
}
