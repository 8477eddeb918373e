import { BanyanError } from '../../../../core/errors.js'
import { coordinationError } from '../../../errors.js'
import { mustBeOf, type ShardIdentity, type ShardInspection, type ShardSpec } from '../store.js'

/** What was found in the databases, by shard. */
export type Inspections = ReadonlyMap<string, ShardInspection>

/** @throws `BANYAN_INVALID_OPTIONS` */
export function mustBeOfOneEngine(inspections: Inspections): void {
  const engines = new Set(Array.from(inspections.values(), ({ engine }) => engine))
  if (engines.size > 1)
    throw new BanyanError(
      'BANYAN_INVALID_OPTIONS',
      `openShards: databases must be of one engine, got ${[...engines].join(' and ')}`,
    )
}

/**
 * Checks that rows which are there already can be adopted: those of one database, which gets all buckets.
 *
 * @throws `BANYAN_SHARD_STRAY`
 */
export function mustAdopt(
  name: string,
  inspections: Inspections,
  weights: ReadonlyMap<string, number>,
): void {
  const filled = [...inspections].filter(([, found]) => found.filled.length > 0)
  const [first] = filled
  if (!first) return
  const where = filled.map(([id, found]) => `${id} (${found.filled.join(', ')})`).join(' and ')
  if (filled.length > 1)
    throw coordinationError(
      'BANYAN_SHARD_STRAY',
      `the databases of ${JSON.stringify(name)} have rows already in ${where}, and only those of one can be adopted; nothing was changed. ` +
        'Open it with one of them alone, write the rows of the others through the router, empty those, and name them then; or bring all rows into one yourself',
    )
  const [owner] = first
  if ([...weights].every(([id, weight]) => weight > 0 === (id === owner))) return
  const right = [...weights.keys()].map((id) => `${JSON.stringify(id)}: ${id === owner ? 1 : 0}`)
  throw coordinationError(
    'BANYAN_SHARD_STRAY',
    `the database ${where} of ${JSON.stringify(name)} has rows already, so it must have all buckets at first; nothing was changed. ` +
      `Open it with weights: { ${right.join(', ')} }; from then on they can be moved`,
  )
}

/** @throws `BANYAN_SHARD_UNFIT` for a database that is to be used as it is, and cannot be */
export function mustBePrepared({ id }: ShardSpec, { isPrepared }: ShardInspection): void {
  if (isPrepared) return
  throw coordinationError(
    'BANYAN_SHARD_UNFIT',
    `the database ${id} is not prepared, and migrate is false: do what \`banyan shards prepare\` does`,
  )
}

/** @throws `BANYAN_SHARD_FOREIGN` for a database that was founded for another map */
export function mustBeFree(
  spec: ShardSpec,
  identity: ShardIdentity | undefined,
  owners: readonly (string | undefined)[],
): void {
  if (!identity) return
  const isOurs = identity.name === spec.name && identity.shard === spec.id && owners.includes(identity.owner)
  if (!isOurs) mustBeOf(spec, `the database ${spec.id}`, identity, owners[0] ?? 'none')
}
