import { eventError } from '../errors.js'
import type { EventLog, Position, Recorded, Selector } from '../log.js'
import { applyTo } from './journal.js'
import { momentsOf, type SagaMoment } from './moments.js'
import { SAGAS, categoryOf, idOf, nameIn, streamOf } from './names.js'
import { SAGA_TYPES, type SagaEvent } from './records.js'
import { SagaState } from './state.js'
import { summaryOf, type SagaSummary } from './status.js'

/** Which sagas are followed. */
export interface FollowSagasOptions {
  /** Only this one. */
  id?: string
  /** Only of this name. */
  saga?: string
  /** After this position: `'0'` for everything, `'end'` (default) for what comes from now on. */
  from?: Position
  /** Ends it. */
  signal?: AbortSignal
}

/** What has become of a saga by one event. */
export interface SagaChange {
  readonly position: Position
  /** As it is then. */
  readonly saga: SagaSummary
  /** What the event says. */
  readonly moments: readonly SagaMoment[]
}

/** What has happened to sagas, as much of it as was there at once. */
export interface SagaChanges {
  readonly changes: readonly SagaChange[]
  /** Behind it following goes on. */
  readonly position: Position
  /** There is nothing more now. */
  readonly caughtUp: boolean
}

/** Sagas whose state is kept between their events. */
const MOST_KEPT = 1000

/**
 * @throws `BANYAN_INVALID_OPTIONS` if one is asked for in two ways
 */
export async function* followSagas(
  log: EventLog,
  { id, saga, from = 'end', signal }: FollowSagasOptions,
): AsyncGenerator<SagaChanges, void, undefined> {
  if (id !== undefined && saga !== undefined && nameIn(id) !== saga)
    throw eventError('BANYAN_INVALID_SELECTOR', `saga ${id} is not of the name ${saga}`)
  const states = new States(log)
  const options = { from, ...(signal && { signal }) }
  for await (const { events, position, caughtUp } of log.follow<SagaEvent>(selectorOf(id, saga), options)) {
    const changes: SagaChange[] = []
    for (const event of events as readonly Recorded<SagaEvent>[]) {
      if (!event.stream.startsWith(`${SAGAS}/`)) continue
      const state = await states.before(event)
      const moments = [...momentsOf(event, state)]
      applyTo(state, event)
      if (state.started)
        changes.push({ position: event.position, saga: summaryOf(idOf(event.stream), state), moments })
    }
    yield { changes, position, caughtUp }
  }
}

function selectorOf(id: string | undefined, saga: string | undefined): Selector {
  if (id !== undefined) {
    nameIn(id)
    return { stream: streamOf(id) }
  }
  return saga === undefined ? { types: SAGA_TYPES } : { category: categoryOf(saga) }
}

/** Sagas as they were before their next event. */
class States {
  readonly #log: EventLog
  readonly #kept = new Map<string, SagaState>()

  constructor(log: EventLog) {
    this.#log = log
  }

  async before({ stream, revision }: Recorded<SagaEvent>): Promise<SagaState> {
    let state = this.#kept.get(stream)
    this.#kept.delete(stream)
    if (revisionOf(state) !== revision - 1) state = await this.#read(stream, revision - 1)
    this.#kept.set(stream, state!)
    if (this.#kept.size > MOST_KEPT) this.#kept.delete(this.#kept.keys().next().value!)
    return state!
  }

  async #read(stream: string, toRevision: number): Promise<SagaState> {
    const state = new SagaState()
    if (toRevision < 0) return state
    for await (const event of this.#log.read<SagaEvent>({ stream }, { toRevision })) applyTo(state, event)
    return state
  }
}

function revisionOf(state: SagaState | undefined): number | undefined {
  return state && (state.revision === 'none' ? -1 : state.revision)
}
