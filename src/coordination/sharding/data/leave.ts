import { BanyanError } from '../../../core/errors.js'
import { checkOptions, type OptionTable } from '../../../core/options.js'
import type { Coordinator } from '../../coordinator.js'
import { coordinationError } from '../../errors.js'
import { moveHistoryKey } from './history.js'
import { changeDataShards, dataShardsKey, readDataShards, type DataShardMap } from './map.js'
import { ofDatabase } from './router/of-database.js'
import type { ShardOpener } from './router/opener.js'
import type { ShardInspection } from './store.js'

/** Options of `unprepareShards`. */
export interface UnprepareShardsOptions<Place> {
  /** The databases, by the names of their shards: all that the map has, or such that it does not have any more. */
  databases: Readonly<Record<string, Place>>
  /**
   * Whether to do it although rows lie in several databases, moves are under way or not finished, a database of the map is not named, or
   * there is no map on this coordinator. Rows of a move that is under way at `switch` may then be in both of its databases. Default false.
   */
  force?: boolean
}

const OPTIONS: OptionTable<UnprepareShardsOptions<unknown>> = {
  databases: { kind: 'code', type: 'object', doc: 'The databases, by the names of their shards.' },
  force: { kind: 'boolean', doc: 'Whether to do it although something speaks against it.' },
}

/** How sharding is taken off a database. */
export interface ShardLeaver<Place> extends Pick<ShardOpener<Place, unknown>, 'inspect'> {
  unprepare(where: Place): Promise<boolean>
}

/** Takes sharding off databases, and forgets the map if they are all that it has. */
export async function unprepareShardsWith<Place>(
  coordinator: Coordinator,
  name: string,
  options: UnprepareShardsOptions<Place>,
  leaver: ShardLeaver<Place>,
): Promise<string[]> {
  checkOptions('unprepareShards', OPTIONS, options)
  const { databases, force = false } = options
  if (Object.keys(databases).length === 0)
    throw new BanyanError('BANYAN_INVALID_OPTIONS', 'unprepareShards: databases must name one at least')
  const map = await readDataShards(coordinator, name)
  if (!map && !force)
    throw coordinationError(
      'BANYAN_SHARDS_UNKNOWN',
      `there are no data shards ${JSON.stringify(name)} on this coordinator; if they were, and their map is lost for good, force it`,
    )
  const isWhole = mustBeWhole(name, map, Object.keys(databases), force)
  if (map && isWhole && !force) mustRest(name, map)
  await mustBeFree(name, map, options, leaver)

  // Nobody opens it from now on; if this ends in the middle, it is done again.
  if (map && isWhole)
    await changeDataShards(coordinator, name, (now) => {
      if (!force) mustRest(name, now)
      return now.leaving && now.moves.length === 0 ? now : { ...now, leaving: true, moves: [] }
    })
  const left: string[] = []
  for (const [id, where] of Object.entries(databases))
    try {
      if (await leaver.unprepare(where)) left.push(id)
    } catch (error) {
      throw ofDatabase(id, error)
    }
  if (map && isWhole)
    for (const key of [moveHistoryKey(name), dataShardsKey(name)]) await coordinator.delete(key)
  return left
}

/** Whether they are the databases of the map; otherwise they are others, which it has no more. */
function mustBeWhole(
  name: string,
  map: DataShardMap | undefined,
  given: readonly string[],
  force: boolean,
): boolean {
  const known = Object.keys(map?.shards ?? {})
  const absent = known.filter((id) => !given.includes(id))
  if (absent.length === known.length) return known.length === 0
  if (absent.length > 0 && !force)
    throw coordinationError(
      'BANYAN_SHARD_UNKNOWN',
      `${JSON.stringify(name)} has databases that were not given: ${absent.join(', ')}; name all of them, or those that were removed from it`,
    )
  return true
}

function mustRest(name: string, { moves }: DataShardMap): void {
  if (moves.length > 0)
    throw coordinationError(
      'BANYAN_SHARD_MOVING',
      `buckets of ${JSON.stringify(name)} are on their way, or were and are not finished, by ${moves.map(({ id }) => id).join(', ')}: abort these moves, or finish them`,
    )
}

/** Looks at all of them, before one is changed. */
async function mustBeFree<Place>(
  name: string,
  map: DataShardMap | undefined,
  { databases, force = false }: UnprepareShardsOptions<Place>,
  { inspect }: ShardLeaver<Place>,
): Promise<void> {
  const filled: string[] = []
  for (const [id, where] of Object.entries(databases)) {
    let found: ShardInspection
    try {
      found = await inspect(where, { name, id, buckets: map?.buckets ?? 1, tables: {}, reference: [] })
    } catch (error) {
      throw ofDatabase(id, error)
    }
    const { identity } = found
    const owners = [map?.owner, ...(map?.earlier ?? [])]
    if (identity && (identity.name !== name || (!force && !owners.includes(identity.owner))))
      throw coordinationError(
        'BANYAN_SHARD_FOREIGN',
        `the database ${id} is ${JSON.stringify(identity.shard)} of ${JSON.stringify(identity.name)}` +
          (identity.name === name
            ? ', under another map: one on another coordinator, or one that is gone'
            : '') +
          '; nothing was changed',
      )
    if (found.isMoving && !force)
      throw coordinationError(
        'BANYAN_SHARD_MOVING',
        `buckets of the database ${id} are on their way, or were and are not finished: abort these moves, or finish them; nothing was changed`,
      )
    if (found.filled.length > 0) filled.push(`${id} (${found.filled.join(', ')})`)
  }
  if (filled.length > 1 && !force)
    throw coordinationError(
      'BANYAN_SHARD_IN_USE',
      `rows of ${JSON.stringify(name)} lie in ${filled.join(' and ')}, and nobody would know which are where; nothing was changed. Move all buckets to one ` +
        'database and finish the moves, or force it: then each database keeps the rows that it has',
    )
}

/**
 * Takes a database out of the map: one that has no buckets, and that no move goes to or comes from. It stays as it is, and may come back;
 * `unprepareShards` takes sharding off it.
 *
 * @throws `BANYAN_SHARDS_UNKNOWN`, `BANYAN_SHARD_UNKNOWN`; `BANYAN_SHARD_IN_USE` if it has buckets, or takes part in a move
 */
export async function removeDatabase(coordinator: Coordinator, name: string, shard: string): Promise<void> {
  let wasThere = false
  await changeDataShards(coordinator, name, (map) => {
    const { [shard]: known, ...shards } = map.shards
    // The answer to an earlier try may have been lost.
    if (!known && wasThere) return map
    if (!known)
      throw coordinationError(
        'BANYAN_SHARD_UNKNOWN',
        `there is no database ${JSON.stringify(shard)} in ${JSON.stringify(name)}; there are ${Object.keys(map.shards).join(', ')}`,
      )
    const ways = map.moves.filter(({ from, to }) => from === shard || to === shard)
    const buckets = map.owners.reduce((sum, [from, to, owner]) => sum + (owner === shard ? to - from : 0), 0)
    if (ways.length > 0 || buckets > 0)
      throw coordinationError(
        'BANYAN_SHARD_IN_USE',
        ways.length > 0
          ? `the database ${shard} takes part in moves, ${ways.map(({ id }) => id).join(', ')}: abort them, or finish them`
          : `the database ${shard} has ${buckets} buckets: move them off first, as planDataMoves with drain says, or \`banyan shards move ${name} --even --without ${shard}\``,
      )
    wasThere = true
    return { ...map, shards }
  })
}
