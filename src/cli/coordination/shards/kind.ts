import { BanyanError } from '../../../core/errors.js'
import { hintOf } from '../../../node/coordination/views.js'
import { UsageError } from '../../usage-error.js'
import type { Desk } from '../desk.js'

/** Which of two things of one name is meant. */
export interface KindOptions {
  workers?: true
  databases?: true
}

/** Of workers, or of databases. */
export type Kind = 'shards' | 'data-shards'

/**
 * Which of the two a name is.
 *
 * @throws {@link UsageError} if it is both, and nobody has said which; an error that says which names there are, if it is none
 */
export async function kindOf(desk: Desk, name: string, { workers, databases }: KindOptions): Promise<Kind> {
  if (workers && databases) throw new UsageError('--workers and --databases contradict each other')
  if (workers) return 'shards'
  if (databases) return 'data-shards'
  const [maps, applications] = await Promise.all([namesOf(desk, 'shards'), namesOf(desk, 'data-shards')])
  const isMap = maps.includes(name)
  if (isMap && applications.includes(name))
    throw new UsageError(
      `${name} is a shard map of workers, and an application that is spread over databases: say --workers or --databases`,
    )
  if (isMap) return 'shards'
  if (applications.includes(name)) return 'data-shards'
  throw new BanyanError(
    'BANYAN_SHARD_MAP_UNKNOWN',
    `there are no shards ${JSON.stringify(name)}${hintOf(name, [...new Set([...maps, ...applications])], 'there are none')}`,
  )
}

async function namesOf(desk: Desk, kind: Kind): Promise<string[]> {
  return (await desk.list(kind)).map(({ name }) => name)
}
