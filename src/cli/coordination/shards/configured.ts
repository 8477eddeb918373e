import { BanyanError } from '../../../core/errors.js'
import { suggest } from '../../../core/suggest.js'
import type { CoordinatorSpec } from '../../../coordination/index.js'
import { loadConfig } from '../../../node/config/load.js'
import type { ShardsSpec } from '../../../node/spec.js'
import { reportProblems } from '../../check.js'

/** What a configuration says of an application in several databases. */
export interface ConfiguredShards {
  readonly spec: ShardsSpec
  readonly file: string
  readonly coordination: CoordinatorSpec | undefined
}

/** @throws `BANYAN_INVALID_OPTIONS` if it has none of that name */
export async function configured(name: string, config: string | undefined): Promise<ConfiguredShards> {
  const loaded = await loadConfig(config)
  if (!loaded.ok) {
    reportProblems(loaded.problems)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', `${loaded.file} is not right`)
  }
  const { shards = {}, coordination } = loaded.spec
  const spec = Object.hasOwn(shards, name) ? shards[name] : undefined
  if (!spec) {
    const near = suggest(name, Object.keys(shards))
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${loaded.file} has no \`shards.${name}\`${near === undefined ? '' : `, did you mean ${JSON.stringify(near)}?`}`,
    )
  }
  return { spec, file: loaded.file, coordination }
}

/**
 * The coordinator of a configuration, for this process.
 *
 * @throws `BANYAN_INVALID_OPTIONS`
 */
export function reachable(coordination: CoordinatorSpec | undefined, file: string): CoordinatorSpec {
  if (!coordination || coordination.driver === 'memory')
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${file} has no coordinator that this process can reach: one that is not memory`,
    )
  return coordination
}
