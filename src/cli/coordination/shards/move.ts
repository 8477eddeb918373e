import type { DataMoveAction } from '../../../node/coordination/data-operations.js'
import { confirm } from '../../events/confirm.js'
import { printable } from '../../events/show/printable.js'
import { paint } from '../../paint.js'
import { UsageError } from '../../usage-error.js'
import type { PlaceOptions } from '../place.js'
import { onCoordinator, type Session } from '../session.js'
import { bucketsText, stillText } from './databases.js'
import { kindOf, mustBe, type Kind, type KindOptions } from './kind.js'
import { asked, type SteerOptions } from './steer.js'

/** Options of `banyan shards move`. */
export interface MoveOptions extends SteerOptions, KindOptions {
  to?: string
  replace?: true
  even?: true
  without?: readonly string[]
  group?: string
}

/** `banyan shards move`. */
export async function move(name: string, buckets: string | undefined, options: MoveOptions): Promise<void> {
  const { to, replace, even, without, group, ...rest } = options
  const wants = even ? buckets === undefined && to === undefined : buckets !== undefined && to !== undefined
  if (!wants) throw new UsageError('say which buckets move and --to whom; or --even, of databases')
  if (without && !even) throw new UsageError('--without goes with --even')
  await ofKind(name, rest, async (session, kind) => {
    if (kind === 'shards') {
      if (even || group !== undefined)
        throw new UsageError(
          `${name} is a shard map of workers: its plan keeps it even; --even and --group are of databases`,
        )
      const wish = { do: 'move', bucket: buckets!, to: to!, ...(replace && { replace }) } as const
      return asked(session, name, wish, rest)
    }
    if (replace) throw new UsageError('--replace is of workers; abort the other move first')
    const count = group === undefined ? undefined : Number(group)
    if (count !== undefined && !(Number.isInteger(count) && count > 0))
      throw new UsageError(`--group is a whole number above 0, not ${group}`)
    const { desk, output } = session
    const started = await desk.startDataMoves(name, {
      ...(even ? { even, ...(without && { remove: without }) } : { buckets: bucketsIn(buckets!), to: to! }),
      ...(count !== undefined && { group: count }),
    })
    if (options.json) output.json({ name, moves: started })
    else if (started.length === 0) output.add('nothing is to be moved: everything is where it should be')
    else
      for (const { id, buckets: some, from, to: target } of started)
        output.add(`${id}  ${bucketsText(some)} from ${printable(from)} to ${printable(target)}`)
    await warnOfStanding(session, name)
  })
}

/** `banyan shards pause` and `resume`. */
export async function pauseOrResume(
  name: string,
  what: 'pause' | 'resume',
  moves: readonly string[],
  { all, ...options }: SteerOptions & KindOptions & { all?: true },
): Promise<void> {
  await ofKind(name, options, (session, kind) => {
    if (kind === 'data-shards')
      return steered(session, name, what, moves, { ...(all && { all }), ...(options.json && { json: true }) })
    if (moves.length > 0 || all)
      throw new UsageError(`${name} is a shard map of workers, which is paused as a whole`)
    return asked(session, name, { do: what }, options)
  })
}

/** `banyan shards abort`, `reverse` and `drop`. */
export async function steerMoves(
  name: string,
  what: DataMoveAction,
  moves: readonly string[],
  { json, all, yes, ...where }: PlaceOptions & { json?: true; all?: true; yes?: true },
): Promise<void> {
  await onCoordinator(where, async (session) => {
    await mustBe(session.desk, name, 'data-shards', OF_WORKERS)
    if (what === 'drop') {
      const facts = [
        `What ${moves.length > 0 ? moves.map(printable).join(', ') : 'every switched move'} has left at its source is removed.`,
        'From then on it cannot be reversed.',
      ]
      if (!(await confirm(facts, yes === true, session.signal))) return
    }
    await steered(session, name, what, moves, { ...(all && { all }), ...(json && { json }) })
  })
}

const OF_WORKERS =
  'its workers make their moves by themselves; banyan shards pause, drain and unpin steer them'

const SAID: Readonly<Record<DataMoveAction, string>> = {
  pause: 'is left as it is',
  resume: 'goes on',
  abort: 'is called off',
  reverse: 'goes back',
  drop: 'is finished: what it has left at its source is removed',
}

async function steered(
  session: Session,
  name: string,
  what: DataMoveAction,
  moves: readonly string[],
  { all, json }: { all?: true; json?: true },
): Promise<void> {
  const { desk, output } = session
  if (moves.length > 0 === (all === true)) throw new UsageError('say which moves, or --all')
  const done = await desk.steerDataMoves(name, all ? 'all' : moves, what)
  if (json) output.json({ name, moves: done })
  else if (done.length === 0) output.add(`there is no move of ${printable(name)} with which that can be done`)
  else for (const id of done) output.add(`${printable(id)} ${SAID[what]}`)
  await warnOfStanding(session, name)
}

/** What was asked for is done by somebody else, if there is somebody. */
async function warnOfStanding({ desk }: Session, name: string): Promise<void> {
  const still = stillText(await desk.detail('data-shards', name))
  if (still !== undefined) console.error(paint('yellow', still))
}

async function ofKind(
  name: string,
  { workers, databases, on, config, admin }: PlaceOptions & KindOptions,
  work: (session: Session, kind: Kind) => Promise<void>,
): Promise<void> {
  const where = {
    ...(on !== undefined && { on }),
    ...(config !== undefined && { config }),
    ...(admin !== undefined && { admin }),
  }
  await onCoordinator(where, async (session) => {
    const kinds = { ...(workers && { workers }), ...(databases && { databases }) }
    await work(session, await kindOf(session.desk, name, kinds))
  })
}

/** `17`, `3-9`, and several of them with commas between. */
function bucketsIn(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, from, to = from] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(part.trim()) ?? []
    if (from === undefined || Number(to) < Number(from))
      throw new UsageError(`buckets are such as 17, 3-9 or 3-9,12; not ${text}`)
    return Array.from({ length: Number(to) - Number(from) + 1 }, (_, index) => Number(from) + index)
  })
}
