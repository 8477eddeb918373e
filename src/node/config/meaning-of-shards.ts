import type { NodeSpec } from '../spec.js'
import { isInstalled } from './check-events.js'
import type { MeaningProblem, Path } from './problem.js'
import type { ConfigInput } from './schema/config.js'

/** `shards.<name>`: there is a coordinator for its map, and the databases can be shards of one application. */
export function* checkShards(config: ConfigInput, name: string): Generator<MeaningProblem> {
  const { databases, tables, reference = [], weights = {} } = config.shards![name]!
  const path = ['shards', name]
  if (!config.coordination)
    yield error(
      path,
      'there is no coordinator for its map; say at the top which one: `coordination: { driver: sqlite, path: ./data }`',
      'key',
    )
  else if (config.coordination.driver === 'memory')
    yield error(
      path,
      'its map would be in the memory of this process, where no application finds it: take another driver for `coordination`',
      'key',
    )
  const places = Object.entries(databases)
  if (places.length === 0) yield error([...path, 'databases'], 'there must be one database at least')
  const [first] = places
  for (const [shard, database] of places) {
    const at = [...path, 'databases', shard]
    if (engineOf(database) === 'postgres' && !URL.canParse(database))
      yield error(at, 'must be a URL such as postgres://user:password@host:5432/database')
    if (engineOf(database) !== engineOf(first![1]))
      yield error(at, `is of another engine than \`${first![0]}\`: all must be of the same one`)
    const other = twinOf(config, name, shard, database)
    if (other !== undefined) yield error(at, `is the database of ${other}, too: each has its own`)
  }
  if (Object.keys(tables).length === 0) yield error([...path, 'tables'], 'there must be one table at least')
  for (const [index, table] of reference.entries())
    if (Object.hasOwn(tables, table))
      yield error([...path, 'reference', index], `\`${table}\` is in \`tables\`, too: it is one or the other`)
  for (const shard of Object.keys(weights))
    if (!Object.hasOwn(databases, shard))
      yield error([...path, 'weights', shard], `there is no database \`${shard}\``, 'key')
  if (places.length > 0 && places.every(([shard]) => weights[shard] === 0))
    yield error([...path, 'weights'], 'the weights of all databases are 0: none would have rows')
}

/** Whether the packages are there that databases need. */
export function checkShardPackages({ shards = {} }: NodeSpec): MeaningProblem[] {
  return Object.entries(shards).flatMap(([name, { databases }]) =>
    Object.entries(databases).flatMap(([shard, database]) => {
      const needed = engineOf(database) === 'sqlite' ? 'better-sqlite3' : 'pg'
      if (isInstalled(needed)) return []
      return [
        error(['shards', name, 'databases', shard], `needs the package ${needed}: npm install ${needed}`),
      ]
    }),
  )
}

function engineOf(database: string): 'sqlite' | 'postgres' {
  return database.startsWith('sqlite:') ? 'sqlite' : 'postgres'
}

/** A shard before this one that has the same database. */
function twinOf(
  { shards = {} }: ConfigInput,
  name: string,
  shard: string,
  database: string,
): string | undefined {
  for (const [otherName, { databases }] of Object.entries(shards))
    for (const [other, place] of Object.entries(databases)) {
      if (otherName === name && other === shard) return undefined
      if (place === database) return otherName === name ? `\`${other}\`` : `\`${other}\` of \`${otherName}\``
    }
  return undefined
}

function error(path: Path, message: string, at: 'key' | 'value' = 'value'): MeaningProblem {
  return { severity: 'error', path, message, at }
}
