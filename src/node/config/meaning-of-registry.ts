import { formatDuration, parseDuration } from '../../core/duration.js'
import { COORDINATOR_LEASES } from '../../drivers/open-coordinator.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** `services.<name>.registry`: there is one. */
export function* checkRegistryOfService(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { endpoints, registry, health, outliers } = config.services[name]!
  const path = ['services', name]
  if (!endpoints && registry === undefined)
    yield error(
      path,
      'must say where it is: `endpoints`, or `registry` if its instances are registered',
      'key',
    )
  if (registry === undefined) return
  yield* needsCoordination(config, [...path, 'registry'])
  if (!health && !outliers)
    yield warning(
      [...path, 'registry'],
      'an instance that was killed stays registered until its ttl is over: say `outliers: true` (or `health`), so that its failures are seen at once',
    )
}

/** `register.<name>`: it can be registered. */
export function* checkRegistration(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { health, id, address, ttl } = config.register![name]!
  const path = ['register', name]
  yield* needsCoordination(config, path)
  yield* checkTtl(config, parseDuration(ttl), [...path, 'ttl'])
  // What is no HTTP can be registered for those who look with `discover`.
  if (!isUrl(address) && typeof address === 'string')
    yield warning(
      [...path, 'address'],
      'no gateway sends requests there: that takes a URL such as http://10.0.0.1:4001',
      'value',
    )
  if (!health)
    yield warning(
      path,
      'without `health` it is registered as well for as long as this node lives, whatever becomes of the instance',
    )
  else {
    const { check } = health as Record<string, unknown>
    const at = [...path, 'health']
    if (check === undefined) yield error(at, 'needs `check`: the URL that is asked', 'key')
    else if (!isUrl(check))
      yield error([...at, 'check'], 'must be a URL such as http://127.0.0.1:4001/healthz')
  }
  const serviceOf = (each: string): unknown => config.register![each]!['service'] ?? each
  const twin = Object.keys(config.register!).find(
    (other) =>
      other < name &&
      id !== undefined &&
      config.register![other]!['id'] === id &&
      serviceOf(other) === serviceOf(name),
  )
  if (twin !== undefined)
    yield error([...path, 'id'], `is that of \`${twin}\`, too: each instance of a service has its own`)
}

/** The driver keeps an instance for so long without a sign of life. */
function* checkTtl(
  { coordination }: ConfigInput,
  ttl: number | undefined,
  path: Path,
): Generator<MeaningProblem> {
  if (!coordination || ttl === undefined || !Object.hasOwn(COORDINATOR_LEASES, coordination.driver)) return
  const { driver } = coordination
  const { minTtl, maxTtl } = COORDINATOR_LEASES[driver]
  if (ttl < minTtl || ttl > maxTtl)
    yield error(
      path,
      `must be between ${formatDuration(minTtl)} and ${formatDuration(maxTtl)}: the driver ${driver} keeps no other leases`,
    )
}

function isUrl(value: unknown): value is string {
  return typeof value === 'string' && /^https?:\/\/[^/]/.test(value) && URL.canParse(value)
}

function* needsCoordination({ coordination }: ConfigInput, path: Path): Generator<MeaningProblem> {
  if (!coordination)
    yield error(
      path,
      'there is no registry; say at the top where: `coordination: { driver: sqlite, path: ./data }`',
      'key',
    )
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string, at: 'key' | 'value' = 'key'): MeaningProblem {
  return { severity: 'warning', path, message, at }
}
