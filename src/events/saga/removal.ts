import type { Runtime } from '../../core/runtime.js'
import type { EventLog, Position, Recorded } from '../log.js'
import { START } from '../position.js'
import { applyTo } from './journal.js'
import { categoryOf, idOf, streamOf } from './names.js'
import { INPUTS, type SagaEvent } from './records.js'
import { SagaState } from './state.js'

/** Sagas that are removed at the same time. */
const PARALLEL = 16

/** What the journal of a saga says that matters for its removal. */
interface Journal {
  readonly stream: string
  readonly state: SagaState
  readonly children: readonly string[]
  /** Of the event that says that it has ended. */
  readonly end: Position | undefined
}

/**
 * Removes journals of sagas that ended long ago, with those of their children. A saga that is a child is kept as long as the one
 * that it belongs to: until that has ended, it may be asked to go back.
 *
 * Children go first: whoever is killed in the middle finds the saga again. What is there twice, or done by two, does no harm. The
 * ids stay taken: a start that comes again starts nothing.
 */
export class SagaRemoval {
  readonly #log: EventLog
  readonly #saga: string
  readonly #keep: number
  readonly #runtime: Runtime
  /** What has ended up to here was looked at. */
  #looked: Position = START

  /** @param keep - how long an ended saga is kept, in ms */
  constructor(log: EventLog, saga: string, keep: number, runtime: Runtime) {
    this.#log = log
    this.#saga = saga
    this.#keep = keep
    this.#runtime = runtime
  }

  /**
   * Removes those whose time has come since it was done the last time.
   *
   * @param removed - told of each, also of children
   */
  async run(removed: () => void, signal: AbortSignal): Promise<void> {
    const to = await this.#log.positionAt(this.#runtime.clock.wall() - this.#keep)
    if (to <= this.#looked) return
    const selector = { category: categoryOf(this.#saga), types: ['Ended'] }
    const options = { from: this.#looked, to, signal }
    let some: Recorded<SagaEvent>[] = []
    const remove = async (): Promise<void> => {
      await Promise.all(some.map(({ stream }) => this.#remove(idOf(stream), to, removed)))
      this.#looked = some.at(-1)?.position ?? this.#looked
      some = []
    }
    for await (const event of this.#log.read<SagaEvent>(selector, options))
      if (some.push(event) === PARALLEL) await remove()
    await remove()
    this.#looked = to
  }

  async #remove(id: string, to: Position, removed: () => void): Promise<void> {
    const journal = await readJournal(this.#log, id)
    const { started } = journal.state
    if (!started || journal.end === undefined || journal.end > to) return
    if (started.parent && (await isThere(this.#log, started.parent.id))) return
    const family = await this.#familyOf(journal)
    for (const { stream, state } of family ?? []) {
      await forget(this.#log, stream, Number(state.revision))
      removed()
    }
  }

  /** A saga behind its children; undefined if one of them goes on. */
  async #familyOf(journal: Journal): Promise<Journal[] | undefined> {
    const family: Journal[] = []
    for (const id of journal.children) {
      const child = await readJournal(this.#log, id)
      const { started } = child.state
      if (started?.parent?.id !== idOf(journal.stream)) continue
      const below = child.state.end && (await this.#familyOf(child))
      if (!below) return undefined
      family.push(...below)
    }
    return [...family, journal]
  }
}

/** Removes what has come for a saga after it was removed, such as a timer that nobody waits for any more. */
export async function removeStrays(log: EventLog, stream: string): Promise<void> {
  let last = -1
  for await (const { type, revision } of log.read<SagaEvent>({ stream })) {
    if (!STRAYS.has(type)) return
    last = revision
  }
  if (last >= 0) await forget(log, stream, last)
}

const STRAYS: ReadonlySet<string> = new Set(INPUTS.slice(1))

/**
 * Whatever holds there are: nobody reads it any more. Commits of whoever runs, signals or asks a saga expect a revision, and its
 * start that there is none, so that none of them is appended again; a timer that is changes nothing.
 */
async function forget(log: EventLog, stream: string, upTo: number): Promise<void> {
  await log.truncate({ stream, beforeRevision: upTo + 1, forget: true })
}

async function readJournal(log: EventLog, id: string): Promise<Journal> {
  const stream = streamOf(id)
  const state = new SagaState()
  const children: string[] = []
  let end: Position | undefined
  for await (const event of log.read<SagaEvent>({ stream })) {
    applyTo(state, event)
    if (event.type === 'Ended') end = event.position
    if (event.type === 'Progressed' || event.type === 'Parked' || event.type === 'Ended')
      for (const record of event.data.records)
        if (record.is === 'begun' && record.child !== undefined) children.push(record.child)
  }
  return { stream, state, children, end: state.end && end }
}

async function isThere(log: EventLog, id: string): Promise<boolean> {
  for await (const { type } of log.read<SagaEvent>({ stream: streamOf(id) }, { limit: 1 }))
    return type === 'Started'
  return false
}
