import { isIP } from 'node:net'
import { parseDuration } from '../../core/duration.js'
import { parseEndpoint } from '../../traffic/gateway/address.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

type ServiceInput = ConfigInput['services'][string]

/** Checks what a service says of the health of its endpoints, and of how they are chosen. */
export function* checkHealth(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const service = config.services[name]!
  const path = ['services', name]
  yield* checkChecks(service, path)
  yield* checkOutliers(service, path)
  yield* checkZones(config, service, path)
  yield* checkResolved(service, path)
  if (service.slowStart && isAlone(service))
    yield warning([...path, 'slowStart'], 'there is one endpoint: nobody else could take the load meanwhile')
  if (service.panicBelow !== undefined && !service.health && !service.outliers)
    yield warning([...path, 'panicBelow'], 'means nothing without `health` or `outliers`')
}

function* checkChecks({ health }: ServiceInput, path: Path): Generator<MeaningProblem> {
  if (!health) return
  const kinds = ['http', 'tcp', 'grpc'].filter((kind) => Object.hasOwn(health, kind))
  if (kinds.length === 0) yield error([...path, 'health'], 'must say how: `http`, `tcp` or `grpc`', 'key')
  for (const kind of kinds.slice(1))
    yield error(
      [...path, 'health', kind],
      `contradicts \`${kinds[0]!}\`: an endpoint is asked in one way`,
      'key',
    )
  const interval = parseDuration(health['interval'] ?? '5s')
  const timeout = parseDuration(health['timeout'] ?? 0)
  if (interval !== undefined && timeout !== undefined && timeout > interval)
    yield error([...path, 'health', 'timeout'], 'is longer than the interval from one check to the next')
}

function* checkOutliers(service: ServiceInput, path: Path): Generator<MeaningProblem> {
  const { outliers } = service
  if (!outliers) return
  const at = [...path, 'outliers']
  if (isAlone(service)) {
    yield warning(at, 'there is one endpoint, and the last one is never ejected')
    return
  }
  if (outliers === true) return
  const base = parseDuration(outliers['baseEjection'] ?? '30s')
  const most = parseDuration(outliers['maxEjection'])
  if (base !== undefined && most !== undefined && most < base)
    yield error([...at, 'maxEjection'], 'is shorter than `baseEjection`')
  if (outliers['checksUneject'] === true && !service.health)
    yield warning([...at, 'checksUneject'], 'means nothing without `health`')
  const { endpoints = [], registry } = service
  if (registry !== undefined) return
  if (endpoints.some((endpoint) => typeof endpoint === 'object' && endpoint.resolve)) return
  const count = endpoints.length
  const { deviations } = (outliers['successRate'] ?? {}) as { deviations?: number }
  // One of n differs most if all the others are alike: by the root of n - 1.
  if (deviations !== undefined && deviations >= Math.sqrt(count - 1))
    yield warning(
      [...at, 'successRate', 'deviations'],
      `is never reached: of ${count} endpoints one is at most ${Math.sqrt(count - 1).toFixed(2)} deviations from the mean`,
    )
  for (const [detector, preset] of [
    ['successRate', 5],
    ['latency', 3],
  ] as const) {
    const options = outliers[detector] as { minimumEndpoints?: number } | false | undefined
    if (!options) continue
    const needed = options.minimumEndpoints ?? preset
    if (count < needed)
      yield warning(
        [...at, detector],
        `compares ${needed} endpoints or more (\`minimumEndpoints\`), and there are ${count}`,
      )
  }
}

function* checkZones(config: ConfigInput, service: ServiceInput, path: Path): Generator<MeaningProblem> {
  const { zones, balance, endpoints = [], registry } = service
  const zoned = endpoints.findIndex((endpoint) => typeof endpoint === 'object' && endpoint.zone !== undefined)
  if (config.zone === undefined && zones)
    yield warning([...path, 'zones'], 'means nothing while the node has no `zone`')
  else if (config.zone === undefined && zoned >= 0)
    yield warning([...path, 'endpoints', zoned, 'zone'], 'means nothing while the node has no `zone`')
  if (zones && zoned < 0 && registry === undefined)
    yield warning([...path, 'zones'], 'means nothing while no endpoint has a `zone`')
  if (zones && typeof balance === 'object')
    yield warning(
      [...path, 'zones'],
      'means nothing with `hash`: a key belongs to its endpoint, wherever that is',
    )
}

function* checkResolved({ endpoints = [] }: ServiceInput, path: Path): Generator<MeaningProblem> {
  for (const [index, endpoint] of endpoints.entries()) {
    if (typeof endpoint === 'object' && endpoint.resolve && isIP(parseEndpoint(endpoint.url).host) !== 0)
      yield warning([...path, 'endpoints', index, 'resolve'], 'means nothing for an IP address')
  }
}

/** One address, and no name or registry that may stand for several. */
function isAlone({ endpoints = [], registry }: ServiceInput): boolean {
  const [first] = endpoints
  return registry === undefined && endpoints.length === 1 && (typeof first === 'string' || !first?.resolve)
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string): MeaningProblem {
  return { severity: 'warning', path, message, at: 'key' }
}
