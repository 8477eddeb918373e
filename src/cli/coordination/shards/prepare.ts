import { systemRuntime } from '../../../core/runtime.js'
import { noTelemetry } from '../../../core/telemetry.js'
import { openCoordinator, openShards } from '../../../coordination/index.js'
import { readDataShards } from '../../../coordination/sharding/data/map.js'
import { countOf } from '../../events/show/numbers.js'
import { printable } from '../../events/show/printable.js'
import { redact } from '../../../node/config/redact.js'
import type { ShardsSpec } from '../../../node/spec.js'
import { shardPrepareSql } from '../../../drivers/open-shards.js'
import { interruptible, type Output } from '../../output.js'
import { paint } from '../../paint.js'
import { configured, reachable } from './configured.js'

/** `banyan shards prepare`: what the first application that opens it would do, too. */
export async function prepare(
  name: string,
  { config, json, sql }: { config?: string; json?: true; sql?: true },
): Promise<void> {
  const { spec, file, coordination } = await configured(name, config)
  if (sql) return interruptible((output) => printSql(name, spec, output))
  const at = reachable(coordination, file)
  const { databases, tables, reference, buckets, weights } = spec
  await interruptible(async (output) => {
    await using coordinator = await openCoordinator(at, {
      runtime: { ...systemRuntime, telemetry: noTelemetry },
    })
    const isNew = (await readDataShards(coordinator, name)) === undefined
    await using opened = await openShards(coordinator, name, {
      ...{ databases, tables },
      ...(reference && { reference }),
      ...(buckets !== undefined && { buckets }),
      ...(weights && { weights }),
    })
    const { map, away } = opened
    const shown = Object.keys(map.shards)
    const missing = Object.entries(away)
    if (missing.length > 0) process.exitCode = 1
    if (json)
      output.json({
        ...{ name, buckets: map.buckets, databases: shown, new: isNew },
        ...(missing.length > 0 && { away }),
      })
    else
      output.add(
        `${printable(name)} is ${isNew ? 'prepared' : 'prepared as before'}: ${countOf(map.buckets, 'bucket')} in ${shown.map(printable).join(', ')}`,
      )
    for (const [id, why] of missing)
      console.error(paint('red', `${printable(id)} is away, and was not prepared: ${printable(why)}`))
    await output.flush()
  })
}

/** What would be executed, for those who change tables themselves. */
async function printSql(name: string, spec: ShardsSpec, output: Output): Promise<void> {
  const { databases, tables, reference = [], buckets = 1024 } = spec
  for (const [id, database] of Object.entries(databases)) {
    const statements = await shardPrepareSql(database, { name, id, buckets, tables, reference })
    output.add(`-- ${printable(id)}: ${printable(String(redact(database)))}`)
    if (statements.length === 0) output.add('-- all of it is there')
    for (const statement of statements) output.add(statement.replace(/;?\s*$/, ';'))
  }
  output.add('-- Rows that are there get their bucket from banyan shards prepare, after that.')
  await output.flush()
}
