import { systemRuntime } from '../../../core/runtime.js'
import { openCoordinator, unprepareShards } from '../../../coordination/index.js'
import { confirm } from '../../events/confirm.js'
import { printable } from '../../events/show/printable.js'
import { interruptible } from '../../output.js'
import { UsageError } from '../../usage-error.js'
import type { PlaceOptions } from '../place.js'
import { onCoordinator } from '../session.js'
import { configured, reachable } from './configured.js'
import { mustBe } from './kind.js'

/** `banyan shards remove`: a database out of the map. */
export async function remove(
  name: string,
  database: string,
  { json, ...where }: PlaceOptions & { json?: true },
): Promise<void> {
  await onCoordinator(where, async ({ desk, output }) => {
    await mustBe(desk, name, 'data-shards', 'banyan shards drain is for workers that are to go')
    await desk.removeDatabase(name, database)
    if (json) output.json({ name, removed: database })
    else output.add(`${printable(name)} has no database ${printable(database)} any more`)
  })
}

/** `banyan shards unprepare`: sharding off the databases of a configuration. */
export async function unprepare(
  name: string,
  wanted: readonly string[],
  { config, force, yes, json }: { config?: string; force?: true; yes?: true; json?: true },
): Promise<void> {
  const { spec, file, coordination } = await configured(name, config)
  const at = reachable(coordination, file)
  const unknown = wanted.find((id) => !Object.hasOwn(spec.databases, id))
  if (unknown !== undefined)
    throw new UsageError(
      `${file} has no database ${unknown} under shards.${name}; it has ${Object.keys(spec.databases).join(', ')}`,
    )
  const databases = Object.fromEntries(
    Object.entries(spec.databases).filter(([id]) => wanted.length === 0 || wanted.includes(id)),
  )
  await interruptible(async (output, signal) => {
    const facts = [
      `Sharding is taken off ${Object.keys(databases).map(printable).join(', ')}: triggers, the column banyan_bucket, tables of ours; rows stay.`,
      `What uses ${printable(name)} through openShards must have ended.`,
    ]
    if (!(await confirm(facts, yes === true, signal))) return
    await using coordinator = await openCoordinator(at, { runtime: systemRuntime })
    const left = await unprepareShards(coordinator, name, { databases, ...(force && { force }) })
    if (json) output.json({ name, unprepared: left })
    else
      output.add(
        left.length === 0
          ? 'there was nothing of it'
          : `sharding of ${printable(name)} is taken off ${left.map(printable).join(', ')}`,
      )
    await output.flush()
  })
}
