import { BanyanError } from '../../../core/errors.js'
import { systemRuntime } from '../../../core/runtime.js'
import { suggest } from '../../../core/suggest.js'
import { openCoordinator, openShards } from '../../../coordination/index.js'
import { readDataShards } from '../../../coordination/sharding/data/map.js'
import { loadConfig } from '../../../node/config/load.js'
import { reportProblems } from '../../check.js'
import { countOf } from '../../events/show/numbers.js'
import { printable } from '../../events/show/printable.js'
import { interruptible } from '../../output.js'

/** `banyan shards prepare`: what the first application that opens it would do, too. */
export async function prepare(
  name: string,
  { config, json }: { config?: string; json?: true },
): Promise<void> {
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
  if (!coordination || coordination.driver === 'memory')
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `${loaded.file} has no coordinator that this process can reach: one that is not memory`,
    )
  const { databases, tables, reference, buckets, weights } = spec
  await interruptible(async (output) => {
    await using coordinator = await openCoordinator(coordination, { runtime: systemRuntime })
    const isNew = (await readDataShards(coordinator, name)) === undefined
    await using opened = await openShards(coordinator, name, {
      ...{ databases, tables },
      ...(reference && { reference }),
      ...(buckets !== undefined && { buckets }),
      ...(weights && { weights }),
    })
    const { map } = opened
    const shown = Object.keys(map.shards)
    if (json) output.json({ name, buckets: map.buckets, databases: shown, new: isNew })
    else
      output.add(
        `${printable(name)} is ${isNew ? 'prepared' : 'prepared as before'}: ${countOf(map.buckets, 'bucket')} in ${shown.map(printable).join(', ')}`,
      )
    await output.flush()
  })
}
