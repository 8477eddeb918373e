import type { ShardWish } from '../../../node/coordination/shard-operations.js'
import { printable } from '../../events/show/printable.js'
import type { PlaceOptions } from '../place.js'
import { onCoordinator, type Session } from '../session.js'
import { asker } from '../steer.js'
import { mustBe } from './kind.js'

/** Options of what is asked of a shard map. */
export type SteerOptions = PlaceOptions & { json?: true; actor?: string }

/** Asks for something of a shard map of workers: the one that plans does it. */
export async function steer(
  name: string,
  wish: ShardWish,
  { json, actor, ...where }: SteerOptions,
): Promise<void> {
  await onCoordinator(where, async (session) => {
    await mustBe(session.desk, name, 'shards', insteadOf(name, wish))
    await asked(session, name, wish, { ...(json && { json }), ...(actor !== undefined && { actor }) })
  })
}

/** What to do with an application in databases. */
function insteadOf(name: string, wish: ShardWish): string {
  switch (wish.do) {
    case 'drain':
      return `to have a database give away all it has, say banyan shards move ${name} --even --without ${wish.worker}`
    case 'split':
    case 'merge':
      return `its buckets stay as they are; one that is hot gets a database of its own by banyan shards move ${name} ${wish.bucket} --to DATABASE`
    default:
      return `what was moved there stays; banyan shards move ${name} moves it elsewhere`
  }
}

/** The same where the coordinator is known. */
export async function asked(
  { desk, output }: Session,
  name: string,
  wish: ShardWish,
  { json, actor }: Pick<SteerOptions, 'json' | 'actor'>,
): Promise<void> {
  await desk.steerShards(name, wish, { by: asker(actor) })
  if (json) output.json({ name, asked: wish })
  else output.add(saidOf(name, wish))
}

function saidOf(name: string, wish: ShardWish): string {
  const of = printable(name)
  switch (wish.do) {
    case 'move':
      return `bucket ${wish.bucket} of ${of} goes to ${printable(wish.to)}, and stays there until it is unpinned`
    case 'unpin':
      return `bucket ${wish.bucket} of ${of} goes where the plan wants it`
    case 'split':
      return `bucket ${wish.bucket} of ${of} becomes ${wish.bucket}/0 and ${wish.bucket}/1; who has it has both first`
    case 'merge':
      return `${wish.bucket}/0 and ${wish.bucket}/1 of ${of} become bucket ${wish.bucket} again`
    case 'pause':
      return `${of} is paused: nothing moves that somebody has`
    case 'resume':
      return `${of} goes on with its plan`
    case 'drain':
      return wish.undo
        ? `${printable(wish.worker)} gets its part of ${of} again`
        : `${printable(wish.worker)} gives away what it has of ${of}, and gets nothing more`
  }
}
