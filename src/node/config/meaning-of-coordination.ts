import { BanyanError } from '../../core/errors.js'
import type { CoordinatorSpec } from '../../coordination/index.js'
import type { NodeSpec } from '../spec.js'
import { checkPlace, isInstalled } from './check-events.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'
import { coordinationOptions } from './schema/coordination.js'

/** What a driver cannot do without, and the package that it needs. */
const NEEDS: Readonly<Record<string, { option?: string; package?: string }>> = {
  memory: {},
  sqlite: { option: 'path', package: 'better-sqlite3' },
  postgres: { option: 'url', package: 'pg' },
  etcd: { option: 'url' },
}

/** `coordination`: the driver has what it needs, and nothing that belongs to another. */
export function* checkCoordination({ coordination, workers = 1 }: ConfigInput): Generator<MeaningProblem> {
  if (!coordination) return
  const { driver } = coordination
  const given: Readonly<Record<string, unknown>> = coordination
  const path = ['coordination']
  // What belongs to a driver that there is not is said by whoever refuses that.
  const needs = Object.hasOwn(NEEDS, driver) ? NEEDS[driver] : undefined
  if (!needs) return
  if (needs.option !== undefined && given[needs.option] === undefined)
    yield error(path, `the driver ${driver} needs \`${needs.option}\``, 'key')
  else if (needs.option !== undefined && given[needs.option] === '')
    yield error([...path, needs.option], 'must not be empty')
  for (const [name, { docs }] of coordinationOptions())
    if (given[name] !== undefined && !docs.has(driver))
      yield error(
        [...path, name],
        `belongs to the driver ${[...docs.keys()].join(' or ')}, not to ${driver}`,
        'key',
      )
  if (driver !== 'memory') return
  if (workers !== 1)
    yield error(
      [...path, 'driver'],
      'memory belongs to one process, and `workers` makes several; take sqlite, which they share',
    )
  else
    yield {
      ...error([...path, 'driver'], 'memory is seen by this process alone, and gone when it ends'),
      severity: 'warning',
    }
}

/** `routes.<name>.fencing`: there is something that remembers tokens, and not everybody can shut others out. */
export function* checkFencing(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { fencing, access } = config.routes[name]!
  if (fencing === undefined) return
  const path = ['routes', name, 'fencing']
  if (!config.coordination)
    yield error(
      path,
      'there is no coordinator; say at the top which one: `coordination: { driver: sqlite, path: ./data }`',
      'key',
    )
  if (!access)
    yield warning(
      path,
      'whoever can send a token can shut all others out with a high one: say who may pass, with `access`',
      'key',
    )
}

/** What can be said of a coordinator without opening it: the package is there, the place can be one, files can be read. */
export async function checkCoordinator({ coordination }: NodeSpec): Promise<MeaningProblem[]> {
  if (!coordination) return []
  const { driver } = coordination
  const name = NEEDS[driver]?.package
  if (name !== undefined && !isInstalled(name))
    return [error(['coordination', 'driver'], `${driver} needs the package ${name}: npm install ${name}`)]
  if (driver === 'sqlite') return checkPlace(coordination.path, ['coordination', 'path'])
  return problemsOfServer(coordination)
}

async function problemsOfServer(spec: CoordinatorSpec): Promise<MeaningProblem[]> {
  try {
    const { checkCoordinatorSpec } = await import('../../drivers/open-coordinator.js')
    await checkCoordinatorSpec(spec)
    return []
  } catch (failure) {
    if (!(failure instanceof BanyanError)) throw failure
    const message = failure.message.replace(/^the \w+ coordinator: /, '')
    const [option] = /^\w+(?=[ .])/.exec(message) ?? []
    const at = option !== undefined && coordinationOptions().has(option) ? [option] : []
    return [error(['coordination', ...at], message, at.length > 0 ? 'value' : 'key')]
  }
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}

function warning(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'warning', path, message, at }
}
