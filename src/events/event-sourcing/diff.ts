import type { EventLog, EventShape, Recorded } from '../log.js'
import { changesBetween, type Change } from './changes.js'
import type { Moment } from './moment.js'
import type { Loaded, Replays } from './replay.js'

/** How a thing was at one moment, how at another, and what has happened in between. */
export interface StateDiff<State, Event extends EventShape> {
  readonly from: Loaded<State>
  readonly to: Loaded<State>
  /** What is different in the state. */
  readonly changes: readonly Change[]
  /** The events behind the earlier of the two moments up to the later one, in order; read when it is iterated. */
  readonly events: AsyncIterable<Recorded<Event>>
}

/** @param to - default now */
export async function stateDiff<State, Event extends EventShape>(
  log: EventLog,
  replays: Replays<State, Event>,
  stream: string,
  from: Moment,
  to?: Moment,
): Promise<StateDiff<State, Event>> {
  const before = await replays.load(stream, from)
  const after = await replays.load(stream, to)
  const [earlier, later] = [nextOf(before), nextOf(after)].sort((a, b) => a - b) as [number, number]
  return {
    from: { state: before.state, revision: before.revision },
    to: { state: after.state, revision: after.revision },
    changes: changesBetween(before.state, after.state),
    events: { [Symbol.asyncIterator]: () => between(log, stream, earlier, later) },
  }
}

async function* between<Event extends EventShape>(
  log: EventLog,
  stream: string,
  fromRevision: number,
  end: number,
): AsyncGenerator<Recorded<Event>, void, undefined> {
  if (fromRevision < end) yield* log.read<Event>({ stream }, { fromRevision, toRevision: end - 1 })
}

/** The revision of what comes next. */
function nextOf({ revision }: Loaded<unknown>): number {
  return revision === 'none' ? 0 : revision + 1
}
