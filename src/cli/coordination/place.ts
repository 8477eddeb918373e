import { resolve } from 'node:path'
import { BanyanError } from '../../core/errors.js'
import type { CoordinatorSpec } from '../../coordination/index.js'
import { coordinatorSpecOf } from '../../drivers/open-coordinator.js'
import { DEFAULT_ADMIN } from '../../node/address.js'
import { redact } from '../../node/config/redact.js'
import { note } from '../output.js'
import { UsageError } from '../usage-error.js'

/** What a command was told of the coordinator it works on. */
export interface PlaceOptions {
  on?: string
  config?: string
  admin?: string
}

/** Where a coordinator is: by itself, or inside a running node, behind its admin address. */
export type Place =
  | { readonly name: string; readonly by: string; readonly spec: CoordinatorSpec }
  | { readonly name: string; readonly by: string; readonly admin: string }

/**
 * Which coordinator a command works on. What was said on the command line comes first, then `BANYAN_COORDINATOR`, then the
 * `coordination` of the configuration in this folder, then the node at the default admin address.
 *
 * @throws {@link UsageError} if the command line contradicts itself
 */
export async function placeOf({ on, config, admin }: PlaceOptions): Promise<Place> {
  const said = Object.entries({ '--on': on, '--config': config, '--admin': admin })
  const [first, second] = said.filter(([, value]) => value !== undefined)
  if (first && second)
    throw new UsageError(`${first[0]} and ${second[0]} each say which coordinator; give one of them`)
  if (admin !== undefined) return behind(admin, '--admin')
  if (on !== undefined) return placeOfUrl(on, '--on')
  const url = process.env['BANYAN_COORDINATOR']
  if (config === undefined && url !== undefined && url !== '') return placeOfUrl(url, 'BANYAN_COORDINATOR')
  return placeOfConfig(config)
}

function behind(admin: string, by: string): Place {
  return { name: `the node at ${admin}`, by, admin }
}

function placeOfUrl(url: string, by: string): Place {
  const spec = coordinatorSpecOf(url)
  if (spec.driver === 'memory')
    throw new UsageError(
      `${by} says memory:, a coordinator inside one process, which this one would find empty; ` +
        'that of a running node is reached with --admin',
    )
  return { name: nameOf(spec), by, spec }
}

/** Text for a coordinator that people recognise, without passwords. */
function nameOf(spec: CoordinatorSpec): string {
  if (spec.driver === 'memory') return 'memory:'
  return spec.driver === 'sqlite' ? `sqlite:${resolve(spec.path)}` : String(redact(spec.url))
}

async function placeOfConfig(config: string | undefined): Promise<Place> {
  // Half of the time that a command takes to start, for who needs it.
  const { loadConfig, readConfig } = await import('../../node/config/load.js')
  const loaded = await loadConfig(config).catch((error: unknown) => {
    const isNone = error instanceof BanyanError && error.code === 'BANYAN_CONFIG_NOT_FOUND'
    if (config !== undefined || !isNone) throw error
    return undefined
  })
  if (!loaded) return behind(DEFAULT_ADMIN, 'default')
  const by = loaded.file
  const { coordinatorIn } = await import('../../node/config/coordinator-part.js')
  const part = loaded.ok ? undefined : coordinatorIn((await readConfig(by)).source)
  if (part) note(`${by} is not right, as banyan check tells; what it says of the coordinator is`)
  if (!loaded.ok && !part) {
    const { reportProblems } = await import('../check.js')
    reportProblems(loaded.problems)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${by} is not right, so it does not say which coordinator; say it with --on, or ask the running node with -a`,
    )
  }
  const { coordination, admin } = loaded.ok ? loaded.spec : part!
  if (!coordination)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${by} has no coordinator; say which one there, as \`coordination: { driver: sqlite, path: ./data }\`, or here with --on`,
    )
  if (coordination.driver !== 'memory') return { name: nameOf(coordination), by, spec: coordination }
  if (admin === false)
    throw new BanyanError(
      'BANYAN_COORDINATOR_UNAVAILABLE',
      `the coordinator of ${by} is in the memory of the node, and with \`admin: false\` there is no way to it`,
    )
  return behind(String(admin), by)
}
