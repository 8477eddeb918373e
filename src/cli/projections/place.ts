import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { BanyanError } from '../../core/errors.js'
import { specOf } from '../../drivers/open-log.js'
import { DEFAULT_ADMIN } from '../../node/address.js'
import type { ProjectionControl } from '../../node/projections/state.js'
import { onLog } from '../events/session.js'
import { interruptible, type Output } from '../output.js'
import { UsageError } from '../usage-error.js'

/** What a command was told of the read models it works on. */
export interface ProjectionPlace {
  admin?: string
  store?: string
  log?: string
  config?: string
}

/** What a command on projections has. */
export interface ProjectionSession {
  readonly projections: ProjectionControl
  readonly output: Output
  /** Aborts on Ctrl-C, and when nobody reads what is written. */
  readonly signal: AbortSignal
}

/**
 * Works on the projections of a node, or without one on stores and their log.
 *
 * @throws {@link UsageError} if the command line contradicts itself
 */
export async function onProjections(
  { admin, store, log, config }: ProjectionPlace,
  work: (session: ProjectionSession) => Promise<void>,
): Promise<void> {
  if (store === undefined && config === undefined) {
    if (log !== undefined) throw new UsageError('--log goes with --store: say where the read models are, too')
    const { NodeProjections } = await import('./node-projections.js')
    const projections = new NodeProjections(admin ?? DEFAULT_ADMIN)
    return interruptible((output, signal) => work({ projections, output, signal }))
  }
  if (admin !== undefined)
    throw new UsageError(
      `--admin and ${store === undefined ? '--config' : '--store'} each say which read models; give one of them`,
    )
  const stores = store === undefined ? await storesOf(config!) : [store]
  for (const each of stores) refuseUnreachable(each, store === undefined ? config! : '--store')
  const { StoredProjections } = await import('./stored-projections.js')
  const where = { ...(log !== undefined && { log }), ...(config !== undefined && { config }) }
  await onLog(log === undefined ? where : { log }, async ({ log, output, signal }) => {
    await using projections = await StoredProjections.open(stores, log)
    await work({ projections, output, signal })
  })
}

async function storesOf(config: string): Promise<string[]> {
  const { loadConfig } = await import('../../node/config/load.js')
  const loaded = await loadConfig(config)
  if (!loaded.ok) {
    const { reportProblems } = await import('../check.js')
    reportProblems(loaded.problems)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${config} is not right, so it does not say which read models`,
    )
  }
  const stores = Object.values(loaded.spec.projections ?? {}).map(({ store }) => store)
  if (stores.length === 0) throw new BanyanError('BANYAN_INVALID_OPTIONS', `${config} has no \`projections\``)
  return [...new Set(stores)]
}

/** A store is made where there is none, so a mistyped path would be read as an empty one. */
function refuseUnreachable(store: string, by: string): void {
  const spec = specOf(store)
  if (spec.driver === 'memory')
    throw new UsageError(
      `${by} says memory:, which is inside one process; a running node is reached with --admin`,
    )
  if (spec.driver !== 'sqlite') return
  const file = spec.path.endsWith('.db') ? spec.path : join(spec.path, 'read-models.db')
  if (!existsSync(file))
    throw new BanyanError('BANYAN_READ_MODEL_UNAVAILABLE', `there are no read models at ${file} (${by})`)
}
