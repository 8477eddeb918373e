import { systemRuntime } from '../../../core/runtime.js'
import { openCoordinator, openShards, readDataShards, verifyShards } from '../../../coordination/index.js'
import { shardsUnknown } from '../../../coordination/sharding/data/map.js'
import type {
  BucketRows,
  VerifiedDatabase,
  VerifiedShards,
} from '../../../coordination/sharding/data/verify-shards.js'
import { countOf, countText } from '../../events/show/numbers.js'
import { printable } from '../../events/show/printable.js'
import { interruptible, lineWidth } from '../../output.js'
import { paint, table } from '../../paint.js'
import { nameText } from '../text.js'
import { bucketsText } from './databases.js'
import { configured, reachable } from './configured.js'

/** `banyan shards verify`: does every database hold what the map says? */
export async function verify(
  name: string,
  { config, json, keys }: { config?: string; json?: true; keys?: true },
): Promise<void> {
  const { spec, file, coordination } = await configured(name, config)
  const at = reachable(coordination, file)
  await interruptible(async (output, signal) => {
    await using coordinator = await openCoordinator(at, { runtime: systemRuntime })
    const map = await readDataShards(coordinator, name)
    if (!map) throw shardsUnknown(name)
    const { tables, reference } = spec
    // What the map does not know has no part in it, and would get one by being opened.
    const databases = Object.fromEntries(
      Object.entries(spec.databases).filter(([id]) => Object.hasOwn(map.shards, id)),
    )
    await using opened = await openShards(coordinator, name, {
      ...{ databases, tables, migrate: false },
      ...(reference && { reference }),
    })
    const found = await verifyShards(coordinator, opened, { signal, ...(keys && { tables }) })
    if (json) output.json({ name, ...found })
    else output.add(verifiedText(name, found))
    if (!found.isRight) process.exitCode = 1
    await output.flush()
  })
}

function verifiedText(name: string, { isRight, databases, owners }: VerifiedShards): string {
  const rows = databases.reduce((sum, database) => sum + totalOf(database), 0)
  const parts = [
    `${nameText(name)}  ${countText(rows)} rows in ${countOf(databases.length, 'database')}: ${
      isRight ? paint('green', 'all are where they should be') : paint('red', 'not all is as it should be')
    }`,
    table(
      ['DATABASE', { heading: 'BUCKETS', right: true }, { heading: 'ROWS', right: true }, 'PROBLEM'],
      databases.map((database) => [
        printable(database.shard),
        countText(database.buckets),
        countText(totalOf(database)),
        problemsOf(database).map(printable).join('; '),
      ]),
      lineWidth(),
    ),
  ]
  for (const { bucket, map, owners: has } of owners)
    parts.push(
      paint(
        'red',
        `bucket ${bucket} should be at ${printable(map)}, and ${has.length === 0 ? 'nobody has it' : `is at ${has.map(printable).join(' and ')}`}`,
      ),
    )
  return parts.join('\n\n')
}

function totalOf({ rows }: VerifiedDatabase): number {
  return Object.values(rows).reduce((sum, count) => sum + count, 0)
}

function problemsOf({ problem, astray, mismarked }: VerifiedDatabase): string[] {
  if (problem !== undefined) return [problem]
  return [
    ...saidOf(astray, 'of buckets that it does not own'),
    ...saidOf(mismarked, 'in another bucket than that of their key'),
  ]
}

function saidOf(found: readonly BucketRows[], what: string): string[] {
  return [...new Set(found.map((each) => each.table))].map((name) => {
    const own = found.filter((each) => each.table === name)
    const count = own.reduce((sum, each) => sum + each.rows, 0)
    const buckets = own.flatMap(({ bucket }) => bucket ?? [])
    return `${countOf(count, 'row')} of ${name} ${what}${buckets.length > 0 ? ` (${bucketsText(buckets)})` : ''}`
  })
}
