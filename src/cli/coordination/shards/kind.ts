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
  const asked = workers ? 'shards' : databases ? 'data-shards' : undefined
  if (asked) {
    await mustBe(desk, name, asked)
    return asked
  }
  const [maps, applications] = await Promise.all([namesOf(desk, 'shards'), namesOf(desk, 'data-shards')])
  const isMap = maps.includes(name)
  if (isMap && applications.includes(name))
    throw new UsageError(
      `${name} is a shard map of workers, and an application that is spread over databases: say --workers or --databases`,
    )
  if (isMap) return 'shards'
  if (applications.includes(name)) return 'data-shards'
  throw unknown(name, [...maps, ...applications])
}

/**
 * Refuses a name that is only of the other kind.
 *
 * @param instead - what to do with that
 */
export async function mustBe(desk: Desk, name: string, kind: Kind, instead?: string): Promise<void> {
  const own = await namesOf(desk, kind)
  if (own.includes(name)) return
  const others = await namesOf(desk, kind === 'shards' ? 'data-shards' : 'shards')
  if (!others.includes(name)) throw unknown(name, [...own, ...others])
  const is = kind === 'shards' ? 'an application that is spread over databases' : 'a shard map of workers'
  throw new UsageError(`${name} is ${is}${instead === undefined ? '' : `: ${instead}`}`)
}

function unknown(name: string, names: readonly string[]): Error {
  return new BanyanError(
    'BANYAN_SHARD_MAP_UNKNOWN',
    `there are no shards ${JSON.stringify(name)}${hintOf(name, [...new Set(names)], 'there are none')}`,
  )
}

async function namesOf(desk: Desk, kind: Kind): Promise<string[]> {
  return (await desk.list(kind)).map(({ name }) => name)
}
